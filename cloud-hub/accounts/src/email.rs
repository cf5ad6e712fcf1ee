//! E-mail addresses, by which people are known.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// An e-mail address: lower case, so that the same mailbox is the same account however it was typed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Email(String);

impl Email {
    /// An address.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn new(text: &str) -> Result<Self, NotAnEmail> {
        let text: String = text.trim().nfkc().flat_map(char::to_lowercase).collect();
        let (local, domain) = text.rsplit_once('@').ok_or(NotAnEmail)?;
        let odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"@".contains(c);
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        let fits = text.len() <= 254
            && (1..=64).contains(&local.len())
            && !local.contains(odd)
            && domain.contains('.')
            && domain.split('.').all(is_label);
        fits.then_some(Self(text)).ok_or(NotAnEmail)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl hub_store::Column for Email {
    fn read(value: hub_store::ValueRef<'_>) -> Option<Self> {
        match value {
            hub_store::ValueRef::Text(text) => Self::new(text).ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no e-mail address: write it as name@example.com")]
pub struct NotAnEmail;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_is_one_account() {
        assert_eq!(
            Email::new(" Rahima@Example.COM").unwrap().as_str(),
            "rahima@example.com"
        );
        for text in [
            "",
            "rahima",
            "@example.com",
            "a@b",
            "a b@example.com",
            "a@b..com",
            "a@@b.com",
            "a@-b.com",
            "<a@b.com",
        ] {
            assert_eq!(Email::new(text), Err(NotAnEmail), "{text}");
        }
    }
}

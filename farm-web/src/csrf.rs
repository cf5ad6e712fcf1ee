//! Refuses requests that another site makes a worker's browser send.
//!
//! The rule of Go 1.25's `CrossOriginProtection`: safe methods pass; `Sec-Fetch-Site` decides where the browser sends it; else
//! `Origin` must name our own host; without either it is no browser. Browsers send `Sec-Fetch-*` only to trustworthy
//! origins, so on a farm's plain-HTTP network the `Origin` check stands alone; cookies are `SameSite=Lax` besides. Nothing
//! has to be put into forms, and nothing in them expires.

use axum::{
    extract::Request,
    http::{HeaderMap, Method},
    middleware::Next,
    response::Response,
};

use crate::error::{Error, Reason};

/// Lets a request through, or refuses it with [`Reason::CrossSite`].
pub(crate) async fn protect(request: Request, next: Next) -> Result<Response, Error> {
    if is_own(request.method(), request.headers()) {
        Ok(next.run(request).await)
    } else {
        Err(Reason::CrossSite.into())
    }
}

/// Whether a request may do what it asks: it is safe, or comes from our own pages or from no browser at all.
pub fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    if let Some(site) = text(headers, "sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    names_us(headers)
}

/// Whether `Origin` names our own host, or there is none because no browser asks.
pub(crate) fn names_us(headers: &HeaderMap) -> bool {
    match (text(headers, "origin"), text(headers, "host")) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|v| v.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_may_post() {
        for (method, headers, own) in [
            ("GET", vec![("origin", "http://evil.test")], true),
            ("POST", vec![], true),
            (
                "POST",
                vec![
                    ("origin", "http://10.0.0.5:8080"),
                    ("host", "10.0.0.5:8080"),
                ],
                true,
            ),
            (
                "POST",
                vec![("origin", "http://10.0.0.5"), ("host", "10.0.0.5:8080")],
                false,
            ),
            (
                "POST",
                vec![("origin", "http://evil.test"), ("host", "10.0.0.5")],
                false,
            ),
            (
                "POST",
                vec![("origin", "null"), ("host", "10.0.0.5")],
                false,
            ),
            ("POST", vec![("origin", "http://10.0.0.5")], false),
            ("POST", vec![("sec-fetch-site", "same-origin")], true),
            ("POST", vec![("sec-fetch-site", "none")], true),
            ("POST", vec![("sec-fetch-site", "same-site")], false),
            (
                "POST",
                vec![
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://a"),
                    ("host", "a"),
                ],
                false,
            ),
            ("DELETE", vec![("sec-fetch-site", "cross-site")], false),
        ] {
            let map: HeaderMap = headers
                .iter()
                .map(|(k, v)| {
                    (
                        k.parse::<axum::http::HeaderName>().unwrap(),
                        v.parse().unwrap(),
                    )
                })
                .collect();
            let method: Method = method.parse().unwrap();
            assert_eq!(is_own(&method, &map), own, "{method} {headers:?}");
        }
    }
}

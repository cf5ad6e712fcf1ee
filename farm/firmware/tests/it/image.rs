//! What is signed is taken, and nothing else.

use farm_firmware::{Header, ImageError, Label, SigningKey, TrustedKey, sign};
use firmware_protocol::Offer;
use proptest::prelude::*;

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

fn label(text: &str) -> Label {
    Label::new(text).expect("these are labels")
}

fn file(image: &[u8]) -> Vec<u8> {
    sign(
        &key(),
        image,
        label("2.1.0"),
        label("khamar-node-c3"),
        label("stable"),
    )
    .expect("neither empty nor large")
}

fn take(file: &[u8], keys: &[TrustedKey]) -> Result<(Header, TrustedKey), ImageError> {
    let (header, image) = Header::parse(file)?;
    let signer = header.verify(image, keys)?;
    Ok((header, signer))
}

#[test]
fn an_image_is_believed_by_any_of_the_trusted_keys_and_by_no_other() {
    let other = SigningKey::from_seed(&[8; 32]).public();
    let file = file(b"instructions");
    let (header, signer) = take(&file, &[other, key().public()]).unwrap();
    assert_eq!(signer, key().public());
    assert_eq!(header.version.as_str(), "2.1.0");
    assert_eq!(take(&file, &[other]), Err(ImageError::NotTrusted));
    assert_eq!(take(&file, &[]), Err(ImageError::NoKeys));
}

#[test]
fn the_signature_is_over_the_protocols_own_context() {
    let file = file(b"instructions");
    let (mut header, _) = take(&file, &[key().public()]).unwrap();
    let mut room = [0; Offer::MAX_SIGNED];
    let offer = header.offer();
    let signed = offer.signed(&mut room).unwrap();
    assert!(signed.starts_with(firmware_protocol::SIGNED_CONTEXT));
    // The same image for other hardware, on another channel or as another version is another claim.
    for change in [
        |h: &mut Header| h.hardware = label("khamar-node-s3"),
        |h: &mut Header| h.channel = label("beta"),
        |h: &mut Header| h.version = label("9.9.9"),
    ] {
        let mut forged = header.clone();
        change(&mut forged);
        assert_eq!(
            forged.verify(b"instructions", &[key().public()]),
            Err(ImageError::NotTrusted)
        );
    }
    header.signature[0][0] ^= 1;
    assert_eq!(
        header.verify(b"instructions", &[key().public()]),
        Err(ImageError::NotTrusted)
    );
}

#[test]
fn a_file_that_is_not_whole_or_not_an_image_says_so() {
    let whole = file(&[0x55; 4096]);
    let keys = [key().public()];
    for (file, why) in [
        (&b""[..], ImageError::NotAnImage),
        (b"PK\x03\x04", ImageError::NotAnImage),
        (&whole[..9], ImageError::NotWhole),
        (&whole[..40], ImageError::NotWhole),
        (&whole[..whole.len() - 1], ImageError::NotWhole),
        (&[&whole[..], b"x"].concat(), ImageError::NotWhole),
        (b"KHMRFW01\xff\xff", ImageError::BadHeader),
        (b"KHMRFW01\x00\x00", ImageError::BadHeader),
    ] {
        assert_eq!(take(file, &keys).unwrap_err(), why, "{} bytes", file.len());
    }
    assert_eq!(
        sign(&key(), b"", label("1"), label("h"), label("c")),
        Err(ImageError::NotWhole)
    );
}

#[test]
fn labels_are_short_and_visible() {
    for text in ["", "a b", "২.১", "tab\t", &"x".repeat(33)] {
        assert!(Label::new(text).is_err(), "{text:?}");
    }
    assert_eq!(Label::new(&"x".repeat(32)).unwrap().as_str().len(), 32);
}

proptest! {
    #[test]
    fn what_is_signed_comes_back(image in prop::collection::vec(any::<u8>(), 1..2000)) {
        let file = file(&image);
        let (header, found) = Header::parse(&file).unwrap();
        prop_assert_eq!(found, &image[..]);
        prop_assert!(header.verify(found, &[key().public()]).is_ok());
        prop_assert_eq!(Header::read(&header.to_bytes()).unwrap(), header);
    }

    #[test]
    fn one_bit_changed_anywhere_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut file = file(&[0xA5; 300]);
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        prop_assert!(take(&file, &[key().public()]).is_err(), "byte {}", at);
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), with_magic in any::<bool>()) {
        let file = if with_magic { [b"KHMRFW01".as_slice(), &bytes].concat() } else { bytes };
        prop_assert!(take(&file, &[key().public()]).is_err());
    }
}

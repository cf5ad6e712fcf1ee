//! The file of a firmware image.
#![no_main]

use farm_firmware::{Header, Label, MAX_IMAGE, SigningKey, sign};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fn file(image: &[u8]) -> Vec<u8> {
    let label = |text| Label::new(text).expect("a label");
    let key = SigningKey::from_seed(&[7; 32]);
    sign(
        &key,
        image,
        label("2.1.0"),
        label("node-c3"),
        label("stable"),
    )
    .expect("neither empty nor large")
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds = [file(b"instructions"), file(&[0; 64])];
    fuzz::mutate(
        data,
        size,
        max_size,
        seed,
        &seeds.each_ref().map(Vec::as_slice),
    )
});

fuzz_target!(|data: &[u8]| {
    // The farm trusts another vendor, so nothing here may ever be believed.
    let trusted = [SigningKey::from_seed(&[8; 32]).public()];
    let Ok((header, image)) = Header::parse(data) else {
        return;
    };
    assert!(image.len() <= MAX_IMAGE && image.len() == header.size as usize);
    assert!(header.verify(image, &trusted).is_err());
    assert_eq!(Header::read(&header.to_bytes()), Ok(header));
});

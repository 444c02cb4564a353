//! JPEG files, held to what Pillow makes of them (golden figures of Pillow 13.0.0 with libjpeg-turbo 3.2.0, as a SHA-256 of its pixels).

use std::{fs, path::Path};

use fewstep_fid::decode_image;
use sha2::{Digest, Sha256};

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden/jpeg").join(name)).unwrap()
}

#[test]
fn pixels_are_pillows_to_the_last_level() {
    let expected: serde_json::Value = serde_json::from_slice(&golden("pillow.json")).unwrap();
    for name in ["444", "422", "420", "420-even", "gray", "progressive", "restarts", "one-pixel"] {
        let image = decode_image(&golden(&format!("{name}.jpg"))).unwrap();
        let [width, height] = [0, 1].map(|i| expected[name]["size"][i].as_u64().unwrap());
        assert_eq!((u64::from(image.width()), u64::from(image.height())), (width, height), "{name}");
        let found: String = Sha256::digest(image.as_raw()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(Some(&*found), expected[name]["sha256"].as_str(), "{name}");
    }
}

/// Colours for print are read by another decoder: an image all the same.
#[test]
fn colours_for_print_are_read() {
    let image = decode_image(&golden("cmyk.jpg")).unwrap();
    assert_eq!((image.width(), image.height()), (16, 16));
}

#[test]
fn damaged_files_are_errors() {
    let whole = golden("420-even.jpg");
    let said = |bytes: &[u8]| decode_image(bytes).map(|_| ()).unwrap_err().to_string();
    for end in [whole.len() - 2, whole.len() - 1, whole.len() / 2, 200] {
        assert!(said(&whole[..end]).starts_with("Format error decoding Jpeg: "), "{end}: {}", said(&whole[..end]));
    }
    let early = &whole[..whole.len() - 40];
    assert!(said(early).contains("it ends early"), "{}", said(early));
    // Bytes behind the end are nobody's.
    let image = decode_image(&whole).unwrap();
    assert_eq!(decode_image(&[&whole[..], b"more"].concat()).unwrap(), image);
    // A header that says it is as large as can be.
    let at = whole.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let mut large = whole.clone();
    large[at + 5..at + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    assert!(said(&large).to_lowercase().contains("memory"), "{}", said(&large));
    // Without its table of steps: libjpeg's own words.
    let table = whole.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
    let mut without = whole.clone();
    without[table + 1] = 0xfe;
    let expected = "libjpeg fatal error: Quantization table 0x00 was not defined";
    assert!(said(&without).contains(expected), "{}", said(&without));
}

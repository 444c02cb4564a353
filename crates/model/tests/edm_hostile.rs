//! EDM files of a few hundred kilobytes that refer to one thing very often: each is answered with the limit that it is beyond, and
//! takes no more memory than a small multiple of its size. Alone in its file, because memory is counted for the whole process.

use fewstep_model::Checkpoint;

fn text(bytes: &[u8]) -> Vec<u8> {
    [b"X", &(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
}

fn dict(pairs: &[(&str, &[u8])]) -> Vec<u8> {
    let pairs = pairs.iter().flat_map(|(key, value)| [&text(key.as_bytes()), *value].concat());
    [b"}(".to_vec(), pairs.collect(), b"u".to_vec()].concat()
}

fn object(class: &str, state: &[u8]) -> Vec<u8> {
    let meta = dict(&[("version", b"K\x06"), ("class_name", &text(class.as_bytes())), ("state", state)]);
    [b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n", &meta[..], b"\x85R"].concat()
}

/// A file of one network, whose configuration has `more`; `before` is read, and dropped, first.
fn network(before: &[u8], more: &[u8], parameters: &[u8], modules: &[u8]) -> Vec<u8> {
    let sizes = [("img_resolution", &b"K\x08"[..]), ("in_channels", b"K\x03"), ("out_channels", b"K\x03"), ("x", more)];
    let state = [("_init_kwargs", &dict(&sizes)[..]), ("_parameters", parameters), ("_modules", modules)];
    let inner = dict(&[("model", &object("SongUNet", &dict(&state)))]);
    let outer = object("EDMPrecond", &dict(&[("sigma_data", b"G\x3f\xe0\0\0\0\0\0\0"), ("_modules", &inner)]));
    [b"\x80\x04", before, &dict(&[("ema", &outer)]), b"."].concat()
}

/// A storage's first pickle, behind operations that do nothing.
fn padded_storage() -> Vec<u8> {
    [b"\x80\x04", &b"N0".repeat(1000)[..], b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."].concat()
}

/// What the process has taken at most, in KiB; none where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find(|line| line.starts_with("VmHWM"))?.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn much_of_little_is_refused() {
    const LARGE: usize = 1 << 18;
    const TIMES: usize = 4000;
    let (large, none) = (text(&[b'a'; LARGE]), &b"}"[..]);
    // Of bytes that are no UTF-8 text is made; what is in the memo is named again and again.
    let globals = |text: &[u8]| [b"\x80\x04", text, b"q\x000", &b"h\x00h\x00\x930".repeat(TIMES)[..], b"N."].concat();
    let list = [b"](", &large[..], b"q\x00", &b"h\x00".repeat(TIMES), b"e"].concat();
    let keys = [b"}(", &large[..], b"q\x00N", &b"h\x00N".repeat(TIMES), b"u"].concat();
    let named = [b"}(", &large[..], b"q\x00K\x01", &b"h\x00K\x01".repeat(TIMES), b"u"].concat();
    let storage = padded_storage();
    let tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\nB";
    let tensor = [&tensor[..], &(storage.len() as u32).to_le_bytes(), &storage, b"\x85RK\0))tR"].concat();
    // Three hundred modules, all of them of one state with a thousand parameters that are None.
    let parameters = [b"}(", &[text(b"p"), b"N".to_vec()].concat().repeat(1000)[..], b"u"].concat();
    let before = [dict(&[("_parameters", &parameters)]), b"q\x010".to_vec()].concat();
    let module = [text(b"m"), object("Linear", b"h\x01")].concat();
    let modules = [b"}(", &module.repeat(300)[..], b"u"].concat();
    let cases = [
        ("no UTF-8", globals(&text(&[0xff; LARGE])), "a name that is no text"),
        ("long name", globals(&large), "a name of 262144 bytes; expected at most 256"),
        ("long class", network(b"", b"N", none, &dict(&[("a", &object(&"a".repeat(257), none))])), "class_name of 257"),
        ("long text", network(b"", &list, none, none), "SongUNet without its configuration"),
        ("long keys", network(b"", &keys, none, none), "SongUNet without its configuration"),
        ("long parameter", network(b"", b"N", &named, none), "has 262145 bytes; expected at most 256"),
        ("padded", network(b"", b"N", &dict(&[("p", &tensor)]), none), "more than 256 operations in this pickle"),
        ("shared", network(&before, b"N", none, &modules), "more than 65536 parameters and modules"),
    ];
    let path = std::env::temp_dir().join(format!("fewstep-edm-{}-hostile.pkl", std::process::id()));
    let before = peak();
    for (name, bytes, expected) in cases {
        std::fs::write(&path, bytes).unwrap();
        let found = Checkpoint::read(&path, None, None).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(found.contains(expected) && found.len() < 400, "{name}: {}", &found[..found.len().min(1000)]);
    }
    std::fs::remove_file(&path).unwrap();
    if let (Some(before), Some(after)) = (before, peak()) {
        // Measured: 0.6 MiB. One of the copies above, made each time, would be a gigabyte.
        println!("{} KiB", after - before);
        assert!(after - before < 32 << 10, "{before} KiB before, {after} KiB after");
    }
}

use serde_json::json;

use super::*;

/// Python 3's `pickle.dumps` of one object with protocols 0, 2 and 5.
const PROTOCOLS: [&[u8]; 3] = [
    b"(dp0\nVa\np1\n(lp2\nI1\naI-2\naF3.5\naI01\naNaI70000\naI-300\nasVb\np3\n(Vx\np4\nc_codecs\nencode\np5\n(Vyz\np6\nVlatin1\n\
      p7\ntp8\nRp9\ntp10\nsVn\np11\n(dp12\nVdeep\np13\n(lp14\n(lp15\nassVbig\np16\nL1180591620717411303424L\ns.",
    b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x88NJp\x11\x01\x00J\xd4\xfe\
      \xff\xffeX\x01\x00\x00\x00bq\x03X\x01\x00\x00\x00xq\x04c_codecs\nencode\nq\x05X\x02\x00\x00\x00yzq\x06X\x06\x00\x00\x00latin1q\x07\
      \x86q\x08Rq\t\x86q\nX\x01\x00\x00\x00nq\x0b}q\x0cX\x04\x00\x00\x00deepq\r]q\x0e]q\x0fasX\x03\x00\x00\x00bigq\x10\x8a\t\x00\x00\x00\
      \x00\x00\x00\x00\x00@u.",
    b"\x80\x05\x95\\\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x88NJp\
      \x11\x01\x00J\xd4\xfe\xff\xffe\x8c\x01b\x94\x8c\x01x\x94C\x02yz\x94\x86\x94\x8c\x01n\x94}\x94\x8c\x04deep\x94]\x94]\x94as\x8c\x03big\
      \x94\x8a\t\x00\x00\x00\x00\x00\x00\x00\x00@u.",
];

#[test]
fn protocols_say_the_same() {
    for (i, bytes) in PROTOCOLS.into_iter().enumerate() {
        let pickle = Pickle::read(bytes, 0).unwrap();
        assert_eq!(pickle.end, bytes.len());
        let part = |key| pickle.get(pickle.root(), key).unwrap();
        assert_eq!(pickle.json(part("a")).unwrap(), json!([1, -2, 3.5, true, null, 70000, -300]));
        assert_eq!(pickle.json(part("n")).unwrap(), json!({ "deep": [[]] }));
        // 2⁷⁰ in nine bytes; and bytes, which older protocols make by a call.
        let Some([x, y]) = pickle.items(part("b")) else { panic!("protocol {i}") };
        assert_eq!(pickle.text(*x), Some("x"));
        match i {
            0 => assert_eq!(pickle.text(part("big")), Some("1180591620717411303424")),
            _ => assert_eq!(*pickle.node(part("big")), Node::Long(&[0, 0, 0, 0, 0, 0, 0, 0, 0x40])),
        }
        match (i, pickle.node(*y)) {
            (2, Node::Bytes(range)) => assert_eq!(&bytes[range.clone()], b"yz"),
            (_, Node::Call(_)) => {
                let arguments = pickle.called(*y, ["_codecs", "encode"]).unwrap();
                assert_eq!(pickle.text(arguments[0]), Some("yz"));
            }
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn objects_keep_what_made_them() {
    // collections.OrderedDict([…]) filled by key, a state for an object, and one with keyword arguments.
    let bytes = b"\x80\x04](ccollections\nOrderedDict\n)RK\x01K\x02scm\nA\n)\x81}K\x03K\x04sbcm\nB\nK\x05\x85}\x92e.";
    let pickle = Pickle::read(bytes, 0).unwrap();
    let items = pickle.items(pickle.root()).unwrap();
    let [key, value] = pickle.pairs(items[0]).unwrap()[0];
    assert_eq!((pickle.int(key), pickle.int(value)), (Some(1), Some(2)));
    let object = pickle.call(items[1]).unwrap();
    assert_eq!(pickle.global(object.callee), Some(["m", "A"]));
    assert_eq!(pickle.pairs(object.states[0]).unwrap().len(), 1);
    let arguments = pickle.items(pickle.call(items[2]).unwrap().arguments).unwrap();
    assert_eq!(pickle.items(arguments[0]).map(|items| pickle.int(items[0])), Some(Some(5)));
}

//! Binding of classic STUN (RFC 3489), to the byte.

use crate::support::{addr, hex, unhex};
use turn_wire::{ChangeRequest, ClassicPlaces, ParseError, parse_classic_binding};

/// Sixteen bytes that do not begin with the magic cookie.
const OLD_ID: &str = "00112233445566778899aabbccddeeff";

fn answer(body: &str) -> Result<String, ParseError> {
    let body = unhex(body);
    let mut request = unhex("0001");
    request.extend((body.len() as u16).to_be_bytes());
    request.extend(unhex(OLD_ID));
    request.extend(body);
    let mut parsed = parse_classic_binding(&request)?;
    parsed.refuse_change();
    Ok(hex(&parsed.answer(addr("192.0.2.1:4096"), None)))
}

#[test]
fn address_comes_back_in_the_clear_with_all_sixteen_bytes_of_the_id() {
    let expected = format!("0101000c{OLD_ID}00010008{}", "00011000c0000201");
    assert_eq!(answer("").as_ref(), Ok(&expected));
    // A change of nothing, a user, and what need not be understood.
    for harmless in ["0003000400000000", "0006000461626364", "8022000441424344"] {
        assert_eq!(answer(harmless).as_ref(), Ok(&expected), "{harmless}");
    }
    let request = unhex(&format!("00010000{OLD_ID}"));
    let v6 = parse_classic_binding(&request).unwrap();
    assert_eq!(
        hex(&v6.answer(addr("[2001:db8::1]:4096"), None)),
        format!(
            "01010018{OLD_ID}00010014{}",
            "0002100020010db8000000000000000000000001"
        )
    );
}

#[test]
fn an_answer_tells_where_it_comes_from_and_which_place_is_opposite() {
    let request = unhex(&format!("00010008{OLD_ID}0003000400000006"));
    let parsed = parse_classic_binding(&request).unwrap();
    assert_eq!(
        parsed.change(),
        ChangeRequest {
            ip: true,
            port: true
        }
    );
    assert!(!parsed.is_refused());
    let mut refused = parsed.clone();
    refused.refuse_change();
    assert!(refused.is_refused());
    let places = ClassicPlaces {
        source: addr("192.0.2.9:3479"),
        changed: addr("192.0.2.9:3479"),
    };
    assert_eq!(
        hex(&parsed.answer(addr("192.0.2.1:4096"), Some(places))),
        format!(
            "01010024{OLD_ID}0001000800011000c0000201{}",
            "0004000800010d97c0000209 0005000800010d97c0000209".replace(' ', "")
        )
    );
}

#[test]
fn unknown_attributes_are_listed_once_and_in_pairs() {
    // RFC 8489 §11: RESPONSE-ADDRESS and CHANGE-REQUEST; RFC 3489 §11.2.10: an even number, one of them twice.
    let change = "00030004 00000006";
    assert_eq!(
        answer(change).unwrap(),
        format!("01110010{OLD_ID}0009000400000414000a000400030003")
    );
    assert_eq!(
        answer(&format!("00020008 0001100 0c0000201 {change} {change}")).unwrap(),
        format!("01110010{OLD_ID}0009000400000414000a000400020003")
    );
    let many: String = (0x100..0x200)
        .map(|kind| format!("{kind:04x}0000"))
        .collect();
    assert_eq!(answer(&many).unwrap().len(), 2 * (20 + 8 + 4 + 32));
    // A list that is full stays so.
    let full = answer(&format!("{change} {many}"));
    assert_eq!(full.unwrap().len(), 2 * (20 + 8 + 4 + 32));
}

#[test]
fn whatever_is_not_a_whole_binding_request_is_refused() {
    assert_eq!(answer("00060008 61626364"), Err(ParseError::Overrun));
    assert_eq!(answer("0006ffff 61626364"), Err(ParseError::Overrun));
    let parse = |text: &str| parse_classic_binding(&unhex(text)).err();
    assert_eq!(parse("0001"), Some(ParseError::TooShort));
    assert_eq!(
        parse(&format!("00010004{OLD_ID}")),
        Some(ParseError::Length)
    );
    assert_eq!(
        parse(&format!("00010002{OLD_ID}0000")),
        Some(ParseError::Length)
    );
    assert_eq!(
        parse(&format!("00020000{OLD_ID}")),
        Some(ParseError::OtherMessage)
    );
    assert_eq!(
        parse(&format!("01010000{OLD_ID}")),
        Some(ParseError::OtherMessage)
    );
    assert_eq!(
        parse(&format!("80010000{OLD_ID}")),
        Some(ParseError::OtherMessage)
    );
    assert_eq!(parse("0001 0000 COMMON"), Some(ParseError::Cookie));
}

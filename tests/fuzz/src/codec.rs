//! Any datagram is read or refused, whatever is asked of it; what is read lies inside it and can be written again.

use turn_wire::{IntegrityKey, MessageView, Packet, Request, RequestBuilder, parse, parse_send};

/// Parses, asks everything, and writes the message anew.
pub(crate) fn run(data: &[u8]) {
    match parse(data) {
        Ok(Packet::ChannelData(frame)) => {
            assert!((0x4000..=0x7FFF).contains(&frame.number));
            assert!(data.get(frame.payload).is_some());
        }
        Ok(Packet::Stun(view)) => {
            ask(data, &view);
            write_again(&view);
        }
        Err(_) => {}
    }
}

fn ask(data: &[u8], view: &MessageView<'_>) {
    let inside = data.as_ptr_range();
    for attribute in view.attributes() {
        let value = attribute.value.as_ptr_range();
        assert!(
            attribute.value.is_empty() || inside.start <= value.start && value.end <= inside.end
        );
    }
    let _ = (
        view.username(),
        view.realm(),
        view.nonce(),
        view.fingerprint(),
    );
    let _ = view.verify(&IntegrityKey::new(b"key"));
    let _ = view.unknown_required().count();
    if let Ok(send) = parse_send(view) {
        assert!(data.get(send.data).is_some());
    }
    let Ok(request) = Request::decode(view) else {
        return;
    };
    let _ = (request.requested_transport(), request.requested_family());
    let _ = (request.additional_family(), request.even_port());
    let _ = (request.reservation_token(), request.dont_fragment());
    let _ = (request.lifetime(), request.channel_number());
    let (first, all) = (request.peer(), request.peers());
    if let (Ok(first), Ok(all)) = (first, all) {
        assert_eq!(first, all.first().copied());
    }
}

/// The attributes that are obeyed, written by our own builder, are read back as they were.
fn write_again(view: &MessageView<'_>) {
    let mut builder = RequestBuilder::new(view.method(), view.transaction_id());
    let obeyed = || {
        view.attributes()
            .take_while(|attribute| !closes(attribute.kind))
    };
    for attribute in obeyed() {
        builder = builder.attribute(attribute.kind, attribute.value);
    }
    let bytes = builder.finish(None, true);
    let Ok(Packet::Stun(again)) = parse(&bytes) else {
        panic!("what was written cannot be read");
    };
    assert_eq!(again.transaction_id(), view.transaction_id());
    let written = again
        .attributes()
        .filter(|attribute| !closes(attribute.kind));
    assert!(written.eq(obeyed()));
}

/// Whether an attribute closes a message: it is computed and not copied.
fn closes(kind: u16) -> bool {
    [
        turn_wire::attr::MESSAGE_INTEGRITY,
        turn_wire::attr::MESSAGE_INTEGRITY_SHA256,
        turn_wire::attr::FINGERPRINT,
    ]
    .contains(&kind)
}

//! Ancillary data in the form that Linux reads and writes, spelled out byte by byte: the traffic class of a datagram, and the
//! length of the datagrams of a train.
//!
//! ```text
//! length (a word, header included)   level (4)   type (4)   value, filled up to a word
//! ```

/// What the system calls the two attributes, level and type; both carry DSCP and ECN.
const V4_NAMES: [u8; 8] = names(libc::IPPROTO_IP, libc::IP_TOS);
const V6_NAMES: [u8; 8] = names(libc::IPPROTO_IPV6, libc::IPV6_TCLASS);

/// The two attributes that tell how long the datagrams of a train are: of one to send, and of one received.
const TRAIN_OUT_NAMES: [u8; 8] = names(libc::SOL_UDP, libc::UDP_SEGMENT);
const TRAIN_IN_NAMES: [u8; 8] = names(libc::SOL_UDP, libc::UDP_GRO);

const WORD: usize = size_of::<usize>();
const HEADER: usize = WORD + 8;
const VALUE: usize = size_of::<i32>();
const TRAIN_VALUE: usize = size_of::<u16>();
/// One attribute with its filling.
const ATTRIBUTE: usize = HEADER + VALUE.next_multiple_of(WORD);

/// Where the lowest byte of an integer lies.
const LOW_BYTE: usize = if cfg!(target_endian = "little") {
    0
} else {
    VALUE - 1
};

const fn names(level: i32, kind: i32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (level.to_ne_bytes(), kind.to_ne_bytes());
    [a, b, c, d, e, f, g, h]
}

/// Room for both attributes.
#[derive(Clone, Copy, Default)]
#[repr(C, align(8))]
pub(crate) struct Control(Room);

type Room = [[u8; ATTRIBUTE]; 2];

/// What the kernel tells beside what it received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Zero, the usual one, where it told none.
    pub(crate) traffic_class: u8,
    /// How long the datagrams are that came together; zero where it is one alone.
    pub(crate) train: usize,
}

impl Control {
    pub(crate) const BYTES: usize = size_of::<Room>();

    /// Asks for a traffic class, unless it is zero, and for a train of datagrams of this length, unless it is zero, and tells
    /// how many bytes of the room count.
    pub(crate) fn encode(&mut self, traffic_class: u8, to_v4: bool, train: u16) -> usize {
        let mut free = self.0.iter_mut();
        let mut length = 0;
        if traffic_class != 0
            && let Some(attribute) = free.next()
        {
            let names = if to_v4 { V4_NAMES } else { V6_NAMES };
            attribute[..WORD].copy_from_slice(&(HEADER + VALUE).to_ne_bytes());
            attribute[WORD..HEADER].copy_from_slice(&names);
            let value = i32::from(traffic_class).to_ne_bytes();
            attribute[HEADER..HEADER + VALUE].copy_from_slice(&value);
            length += ATTRIBUTE;
        }
        if train != 0
            && let Some(attribute) = free.next()
        {
            attribute[..WORD].copy_from_slice(&(HEADER + TRAIN_VALUE).to_ne_bytes());
            attribute[WORD..HEADER].copy_from_slice(&TRAIN_OUT_NAMES);
            let value = train.to_ne_bytes();
            attribute[HEADER..HEADER + TRAIN_VALUE].copy_from_slice(&value);
            length += ATTRIBUTE;
        }
        length
    }

    /// How many bytes of the room count without the request for a train, of so many with it.
    pub(crate) fn without_train(length: usize) -> usize {
        length.saturating_sub(ATTRIBUTE)
    }

    /// Reads what the kernel wrote. IPv4's traffic class comes as one byte, all else as an integer, so that each attribute
    /// takes the same room. Read for every datagram, so without the walk of [`attributes`].
    pub(crate) fn decode(&self, length: usize) -> Told {
        let mut told = Told::default();
        let mut left = length;
        for attribute in &self.0 {
            if left <= HEADER {
                break;
            }
            let (value, names) = (&attribute[HEADER..HEADER + VALUE], &attribute[WORD..HEADER]);
            let whole = left >= HEADER + VALUE;
            if names == V4_NAMES {
                told.traffic_class = value[0];
            } else if names == V6_NAMES && whole {
                told.traffic_class = value[LOW_BYTE];
            } else if names == TRAIN_IN_NAMES && whole {
                let length = i32::from_ne_bytes([value[0], value[1], value[2], value[3]]);
                told.train = usize::try_from(length).unwrap_or(0);
            }
            left = left.saturating_sub(ATTRIBUTE);
        }
        told
    }

    #[cfg(test)]
    fn as_bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }
}

/// One attribute: level, type, value.
pub(crate) type Attribute<'a> = (i32, i32, &'a [u8]);

/// The attributes that the kernel wrote.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    std::iter::from_fn(move || {
        let (header, _) = bytes.split_at_checked(HEADER)?;
        let number = |at: usize| Some(i32::from_ne_bytes(header.get(at..at + 4)?.try_into().ok()?));
        let length = usize::from_ne_bytes(header.get(..WORD)?.try_into().ok()?);
        let attribute = (number(WORD)?, number(WORD + 4)?, bytes.get(HEADER..length)?);
        let next = length.checked_next_multiple_of(WORD)?;
        bytes = bytes.get(next..).unwrap_or_default();
        Some(attribute)
    })
}

#[cfg(test)]
mod tests {
    use super::{Control, HEADER, Told, V4_NAMES, VALUE, WORD, attributes};

    fn class(traffic_class: u8) -> Told {
        Told {
            traffic_class,
            train: 0,
        }
    }

    #[test]
    fn a_class_survives_both_ways_and_has_the_length_of_the_system() {
        for (v4, traffic_class) in [(true, 0xB8), (false, 0x03)] {
            let mut control = Control::default();
            let length = control.encode(traffic_class, v4, 0);
            assert_eq!(length, HEADER + WORD);
            assert_eq!(control.decode(length), class(traffic_class));
            assert_eq!(attributes(&control.as_bytes()[..length]).count(), 1);
        }
        assert_eq!(Control::default().decode(0), class(0));
    }

    #[test]
    fn a_train_is_asked_for_behind_the_class_or_alone() {
        for traffic_class in [0, 0xB8] {
            let mut control = Control::default();
            let length = control.encode(traffic_class, true, 1200);
            let all: Vec<_> = attributes(&control.as_bytes()[..length]).collect();
            let asked = (libc::SOL_UDP, libc::UDP_SEGMENT, &1200u16.to_ne_bytes()[..]);
            assert_eq!(all.last(), Some(&asked));
            assert_eq!(all.len(), 1 + usize::from(traffic_class != 0));
        }
        assert_eq!(Control::default().encode(0, false, 0), 0);
    }

    #[test]
    fn the_kernels_two_attributes_are_read_in_either_order() {
        let train = [libc::SOL_UDP, libc::UDP_GRO, 1200];
        let traffic_class = [libc::IPPROTO_IPV6, libc::IPV6_TCLASS, 3];
        for order in [[train, traffic_class], [traffic_class, train]] {
            let mut control = Control::default();
            for (room, [level, kind, value]) in control.0.iter_mut().zip(order) {
                let length = (HEADER + VALUE).to_ne_bytes();
                let rest = [level, kind, value].map(i32::to_ne_bytes).concat();
                room[..HEADER + VALUE].copy_from_slice(&[&length[..], &rest].concat());
            }
            let told = Told {
                traffic_class: 3,
                train: 1200,
            };
            assert_eq!(control.decode(Control::BYTES), told);
        }
    }

    #[test]
    fn the_kernels_single_byte_is_read_and_other_attributes_are_not() {
        let mut control = Control::default();
        let first = &mut control.0[0];
        first[..WORD].copy_from_slice(&(HEADER + 1).to_ne_bytes());
        first[WORD..HEADER].copy_from_slice(&V4_NAMES);
        first[HEADER] = 0x2E;
        assert_eq!(control.decode(HEADER + 1), class(0x2E));
        assert_eq!(control.decode(HEADER), class(0), "cut off");
        control.0[0][WORD + 4] = 99;
        assert_eq!(control.decode(Control::BYTES), class(0), "another type");
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        for length in [0, 1, HEADER - 1, 1000, usize::MAX] {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.resize(Control::BYTES, 0);
            assert_eq!(attributes(&bytes).count(), 0, "{length}");
        }
    }
}

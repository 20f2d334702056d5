//! Ancillary data in the form that Linux reads and writes, spelled out byte by byte: the traffic class of one datagram.
//!
//! ```text
//! length (a word, header included)   level (4)   type (4)   value, filled up to a word
//! ```

/// What the system calls the two attributes, level and type; both carry DSCP and ECN.
const V4_NAMES: [u8; 8] = names(libc::IPPROTO_IP, libc::IP_TOS);
const V6_NAMES: [u8; 8] = names(libc::IPPROTO_IPV6, libc::IPV6_TCLASS);

const WORD: usize = size_of::<usize>();
const HEADER: usize = WORD + 8;
const VALUE: usize = size_of::<i32>();

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

/// Room for one attribute with a value of an integer.
#[derive(Clone, Copy, Default)]
#[repr(C, align(8))]
pub(crate) struct Control([u8; Self::BYTES]);

impl Control {
    pub(crate) const BYTES: usize = HEADER + VALUE.next_multiple_of(WORD);

    /// Asks for a traffic class and tells how many bytes of it count.
    pub(crate) fn encode(&mut self, traffic_class: u8, to_v4: bool) -> usize {
        let names = if to_v4 { V4_NAMES } else { V6_NAMES };
        let bytes = &mut self.0;
        bytes[..WORD].copy_from_slice(&(HEADER + VALUE).to_ne_bytes());
        bytes[WORD..HEADER].copy_from_slice(&names);
        bytes[HEADER..HEADER + VALUE].copy_from_slice(&i32::from(traffic_class).to_ne_bytes());
        Self::BYTES
    }

    /// The traffic class that the kernel wrote; zero, the usual one, where it wrote none. IPv4's comes as one byte, IPv6's as
    /// an integer. Read for every datagram, so without the walk of [`attributes`].
    pub(crate) fn decode(&self, length: usize) -> u8 {
        if length <= HEADER {
            return 0;
        }
        let (value, names) = (&self.0[HEADER..HEADER + VALUE], &self.0[WORD..HEADER]);
        if names == V4_NAMES {
            value[0]
        } else if names == V6_NAMES && length >= HEADER + VALUE {
            value[LOW_BYTE]
        } else {
            0
        }
    }

    #[cfg(test)]
    fn as_bytes(&self) -> &[u8] {
        &self.0
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
    use super::{Control, HEADER, WORD, attributes};

    #[test]
    fn a_class_survives_both_ways_and_has_the_length_of_the_system() {
        for (v4, class) in [(true, 0xB8), (false, 0x03)] {
            let mut control = Control::default();
            let length = control.encode(class, v4);
            assert_eq!(length, HEADER + WORD);
            assert_eq!(control.decode(length), class);
            assert_eq!(attributes(control.as_bytes()).count(), 1);
        }
        assert_eq!(Control::default().decode(0), 0);
    }

    #[test]
    fn the_kernels_single_byte_is_read_and_other_attributes_are_not() {
        let mut bytes = (HEADER + 1).to_ne_bytes().to_vec();
        bytes.extend(libc::IPPROTO_IP.to_ne_bytes());
        bytes.extend(libc::IP_TOS.to_ne_bytes());
        bytes.push(0x2E);
        bytes.resize(Control::BYTES, 0);
        let mut control = Control(bytes.clone().try_into().unwrap());
        assert_eq!(control.decode(HEADER + 1), 0x2E);
        assert_eq!(control.decode(HEADER), 0, "cut off");
        control.0[WORD + 4] = 99;
        assert_eq!(control.decode(Control::BYTES), 0, "another type");
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

//! Frames on a stream do not depend on how it was cut into segments, and a frame is never longer than it may be.

use arbitrary::Unstructured;
use turn_wire::stream::{Frame, FramingError, MAX_FRAME, next_frame};

/// Finds all frames at once and again as the bytes drip in.
pub(crate) fn run(data: &[u8]) {
    let Some((cuts, stream)) = data.split_at_checked(data.len().min(16)) else {
        return;
    };
    let whole = frames(stream);
    assert_eq!(whole, dripping(cuts, stream));
    assert!(
        whole
            .0
            .iter()
            .all(|&length| (4..=MAX_FRAME).contains(&length))
    );
    let spent: usize = whole.0.iter().sum();
    for length in 0..stream.len().saturating_sub(spent).min(64) {
        // Fewer bytes of the same frame never make it whole, and never break it later than all of them do.
        let part = next_frame(&stream[spent..spent + length]);
        assert!(!matches!(part, Ok(Frame::Whole(_))) || part == next_frame(&stream[spent..]));
        assert!(part.is_ok() || next_frame(&stream[spent..]).is_err());
    }
}

fn frames(mut stream: &[u8]) -> (Vec<usize>, Option<FramingError>) {
    let mut found = Vec::new();
    loop {
        match next_frame(stream) {
            Ok(Frame::Whole(length)) => {
                found.push(length);
                stream = &stream[length..];
            }
            Ok(Frame::Incomplete) => return (found, None),
            Err(error) => return (found, Some(error)),
        }
    }
}

fn dripping(cuts: &[u8], stream: &[u8]) -> (Vec<usize>, Option<FramingError>) {
    let (mut found, mut buffered, mut rest) = (Vec::new(), Vec::new(), stream);
    let mut cuts = Unstructured::new(cuts);
    loop {
        let cut = usize::from(cuts.arbitrary::<u8>().unwrap_or(255)).max(1);
        let (segment, left) = rest.split_at(cut.min(rest.len()));
        buffered.extend_from_slice(segment);
        rest = left;
        let (more, error) = frames(&buffered);
        buffered.drain(..more.iter().sum::<usize>());
        found.extend(more);
        if error.is_some() || rest.is_empty() {
            return (found, error);
        }
    }
}

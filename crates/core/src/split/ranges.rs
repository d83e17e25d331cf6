//! Ranges of keys, balanced by bytes.

use super::{Most, Sized};

/// Where ranges of these objects begin, without the first: as few as fit into `most`, at least two where there are two
/// objects, and the largest of them as small as it can be. None is empty.
///
/// Filling each range until the next object would be too much is the least number of ranges; the smallest bound on bytes
/// that still leads to so few is their balance.
pub fn balanced(objects: &[Sized<'_>], most: Most) -> Vec<usize> {
    let fill = |bytes: u64| starts(objects, bytes, most.objects.unwrap_or(u64::MAX).max(1));
    let bytes: u64 = objects.iter().map(|o| o.bytes).sum();
    let fewest = fill(most.bytes.unwrap_or(u64::MAX)).len().max(1);
    // Below the least no bound leads to so few, and no range has more than all.
    let (mut too_little, mut enough) = (0, bytes);
    while too_little + 1 < enough {
        let between = too_little + (enough - too_little) / 2;
        if fill(between).len() <= fewest { enough = between } else { too_little = between }
    }
    let starts = fill(enough);
    if starts.is_empty() && objects.len() > 1 {
        // Next to nothing but empty objects: they are balanced by their number.
        return vec![objects.len() / 2];
    }
    starts
}

/// Where ranges begin, without the first, if each is filled as far as these bounds let it. An object that is over the
/// bound by itself has a range of its own.
fn starts(objects: &[Sized<'_>], most_bytes: u64, most_objects: u64) -> Vec<usize> {
    let mut starts = Vec::new();
    let (mut bytes, mut count) = (0u64, 0u64);
    for (at, object) in objects.iter().enumerate() {
        if count > 0 && (count == most_objects || bytes.saturating_add(object.bytes) > most_bytes) {
            starts.push(at);
            (bytes, count) = (0, 0);
        }
        bytes = bytes.saturating_add(object.bytes);
        count += 1;
    }
    starts
}

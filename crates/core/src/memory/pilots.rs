//! Which slices go first, and alone.

/// Up to so many slices there is nothing to gain from running some of them first.
const FEW: usize = 12;

/// The slices that go first and alone, by their place in `sizes` (bytes): the median, the 80th percentile and the
/// largest. None where there are no more than a dozen.
///
/// A wide first wave would learn nothing in time; these three span what is to come.
pub fn pilots(sizes: &[u64]) -> Option<[usize; 3]> {
    if sizes.len() <= FEW {
        return None;
    }
    let mut places: Vec<usize> = (0..sizes.len()).collect();
    // Ties go by place, so that equal plans have equal pilots.
    places.sort_by_key(|i| (sizes[*i], *i));
    let last = places.len() - 1;
    Some([places[last / 2], places[last * 4 / 5], places[last]])
}

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::testing::slice;

const NONE: Most = Most { bytes: None, objects: None };
const ANY: Means = Means { hours: true, ranges: true };

fn sized(objects: &[(String, u64, u8)]) -> Vec<Sized<'_>> {
    objects.iter().map(|(key, bytes, hour)| Sized { key, bytes: *bytes, hour: Some(*hour) }).collect()
}

/// Objects by key, each with its bytes and its hour.
fn lake() -> impl Strategy<Value = Vec<(String, u64, u8)>> {
    let sizes = prop_oneof![Just(0u64), 1u64..100, 1_000u64..1_000_000, Just(1u64 << 40)];
    prop::collection::btree_map("[a-zé+/]{1,6}", (sizes, 0u8..24), 2..60).prop_map(|map: BTreeMap<_, _>| {
        map.into_iter().map(|(key, (bytes, hour))| (key, bytes, hour)).collect()
    })
}

/// Cuts a slice until all its parts fit or cannot be cut, as the engine does.
fn divide(objects: &[(String, u64, u8)], means: Means, most: Most) -> Cuts {
    let mut cuts = Cuts::new();
    let mut open = vec![slice(4)];
    while let Some(part) = open.pop() {
        let own: Vec<Sized<'_>> =
            sized(objects).into_iter().filter(|o| slice_of(&cuts, slice(4), o.key, o.hour) == part).collect();
        let bytes = own.iter().map(|o| o.bytes).sum();
        if most.is_less_than(bytes, own.len() as u64)
            && let Ok(cut) = cut(&part, &own, means, most)
        {
            open.extend(cut.parts(&part));
            cuts.insert(part, cut);
        }
    }
    cuts
}

proptest! {
    #[test]
    fn slices_are_the_partition_without_overlap_and_each_fits(
        objects in lake(), bytes in 1u64..2_000_000, count in 1u64..20, hours: bool, ranges: bool,
    ) {
        let most = Most { bytes: Some(bytes), objects: Some(count) };
        let cuts = divide(&objects, Means { hours, ranges }, most);
        let all: BTreeSet<SliceId> = leaves(&cuts, &slice(4)).into_iter().collect();
        let mut found: BTreeMap<SliceId, Vec<&(String, u64, u8)>> = BTreeMap::new();
        for object in &objects {
            let (key, _, hour) = object;
            found.entry(slice_of(&cuts, slice(4), key, Some(*hour))).or_default().push(object);
        }
        // Every object has one slice, and that is one of the leaves.
        prop_assert!(found.keys().all(|s| all.contains(s)), "{cuts:?}");
        // No range is empty; an hour may have nothing.
        prop_assert!(all.iter().filter(|s| s.is_range()).all(|s| found.contains_key(s)), "{cuts:?}");
        for (slice, own) in &found {
            prop_assert!(slice.is_within(&crate::testing::slice(4)));
            let bytes: u64 = own.iter().map(|(_, bytes, _)| bytes).sum();
            if ranges && own.len() > 1 {
                prop_assert!(!most.is_less_than(bytes, own.len() as u64), "{slice}: {bytes} bytes of {own:?}");
            }
        }
        // Whatever comes later has a slice too.
        for key in ["", "zzz", "é", "a/"] {
            prop_assert!(all.contains(&slice_of(&cuts, slice(4), key, Some(7))));
        }
    }

    #[test]
    fn ranges_are_as_few_as_fit_and_the_largest_is_as_small_as_it_can_be(
        sizes in prop::collection::vec(0u64..50, 2..11), most in 1u64..120,
    ) {
        let objects: Vec<(String, u64, u8)> =
            sizes.iter().enumerate().map(|(at, bytes)| (format!("{at:02}"), *bytes, 0)).collect();
        let largest = |starts: &[usize]| {
            let ends = starts.iter().copied().chain([sizes.len()]);
            let mut from = 0;
            ends.map(|to| { let sum: u64 = sizes[from..to].iter().sum(); from = to; sum }).max().unwrap()
        };
        let ours = balanced(&sized(&objects), Most { bytes: Some(most), objects: None });
        prop_assert!(!ours.is_empty() && ours.is_sorted() && ours[0] > 0 && ours[ours.len() - 1] < sizes.len());
        // Against every way to choose as many starts or fewer.
        for chosen in 1u32..1 << (sizes.len() - 1) {
            let starts: Vec<usize> = (1..sizes.len()).filter(|at| chosen & 1 << (at - 1) != 0).collect();
            if starts.len() <= ours.len() {
                prop_assert!(largest(&starts) >= largest(&ours), "{starts:?} is better than {ours:?}");
            }
            if starts.len() < ours.len() {
                prop_assert!(largest(&starts) > most, "{starts:?} would fit");
            }
        }
    }
}

#[test]
fn a_day_is_cut_by_hour_first_and_then_by_key() {
    let objects: Vec<(String, u64, u8)> =
        (0..40u8).map(|n| (format!("{:02}/{n:02}", n / 20), 10, n / 20)).collect();
    let cuts = divide(&objects, ANY, Most { bytes: Some(60), objects: None });
    assert_eq!(cuts[&slice(4)], Cut::Hours);
    let with_objects: Vec<String> = leaves(&cuts, &slice(4))
        .iter()
        .filter(|s| objects.iter().any(|(key, _, hour)| slice_of(&cuts, slice(4), key, Some(*hour)) == **s))
        .map(ToString::to_string)
        .collect();
    let hour = |hour: u8| (1..=4).map(move |n| format!("condor/2018-10-04/{hour:02}+{n}of4"));
    assert_eq!(with_objects, hour(0).chain(hour(1)).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_cut_says_why() {
    let objects = [("a".to_owned(), 1, 3), ("b".to_owned(), 1, 3)];
    let objects = sized(&objects);
    let prefix = Means { hours: true, ranges: false };
    assert_eq!(cut(&slice(4), &objects[..1], ANY, NONE), Err(NoCut::OneObject));
    assert_eq!(cut(&slice(4), &objects, prefix, NONE), Err(NoCut::OneHour));
    assert_eq!(cut(&slice(4).of_hour(3), &objects, prefix, NONE), Err(NoCut::OneHour));
    assert_eq!(cut(&slice(4), &objects, Means { hours: false, ranges: false }, NONE), Err(NoCut::Prefix));
    assert_eq!(cut(&slice(4), &objects, ANY, NONE), Ok(Cut::Ranges { starts: vec!["b".to_owned()] }));
}

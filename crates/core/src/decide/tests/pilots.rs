use super::*;

/// Fourteen days, of which the first three in the plan's order are pilots.
fn piloted() -> Plan {
    let mut plan = plan((1..=14).map(|of| job(of, 1, 0)).collect());
    plan.pilots = 3;
    plan
}

#[test]
fn the_pilots_go_alone_until_they_have_ended() {
    let mut scene = Scene::of(piloted());
    let pilots = scene.submit();
    assert_eq!(pilots.len(), 3);
    scene.fail(&pilots[0], FailureClass::OutOfMemory);
    let again = scene.submit();
    assert_eq!(again.len(), 1, "a pilot's next try, and nobody else");
    scene.succeed(&pilots[1]);
    scene.fail(&pilots[2], FailureClass::OutOfMemory);
    assert_eq!(scene.submit().len(), 1);
    scene.succeed(&again[0]);
    assert_eq!(scene.submit().len(), 0);
    let last = scene.ledger.live().next().unwrap().1.intended.name.clone();
    scene.succeed(&last);
    assert_eq!(scene.submit().len(), 11, "what they teach is known");
}

#[test]
fn pilots_that_are_given_up_hold_nobody_for_ever() {
    let mut scene = Scene::of(piloted());
    for _ in 0..2 {
        for name in scene.submit() {
            scene.fail(&name, FailureClass::App);
        }
    }
    scene.settle();
    assert_eq!(scene.submit().len(), 11);
}

#[test]
fn a_backfill_that_knows_enough_needs_no_pilots() {
    let mut scene = Scene::of(plan((20..=22).map(|of| job(of, 1, 0)).collect()));
    for name in scene.submit() {
        scene.succeed(&name);
    }
    scene.adopt(later(piloted()));
    assert_eq!(scene.submit().len(), 14);
}

#[test]
fn a_first_try_asks_for_what_others_needed_and_a_slice_that_was_tried_for_what_it_needs_itself() {
    let mut scene = Scene::of(plan((20..=24).map(|of| job(of, 1, 0)).collect()));
    for name in scene.submit() {
        let Fact::Ended(mut end) = ended(&name, Outcome::Succeeded, true) else { unreachable!() };
        end.peak_kib = Some(20 * 1024);
        scene.tell(Fact::Ended(end));
    }
    let mut strict = later(plan(vec![job(1, 1, 0)]));
    strict.job.idempotent = Idempotent::No;
    let mut tried = job(20, 2, 0);
    tried.memory_mib = 256;
    scene.adopt(later(plan(vec![job(2, 1, 0), tried])));
    let intents = scene.intend();
    let asked = |of: u32| intents.iter().find(|i| i.slice == slice(of)).unwrap();
    assert_eq!(asked(2).memory_mib, 64, "20 MiB, in what is sold");
    assert!(asked(2).memory_why.as_deref().unwrap().starts_with("flat: "), "{:?}", asked(2).memory_why);
    assert_eq!((asked(20).memory_mib, asked(20).memory_why.is_some()), (256, true));
    scene.adopt(strict);
    let strict = scene.intend();
    assert_eq!(
        (strict[0].memory_mib, &strict[0].memory_why),
        (128, &None),
        "a kill would be a person's matter"
    );
}

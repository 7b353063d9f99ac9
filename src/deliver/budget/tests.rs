use proptest::prelude::*;

use super::*;

const ALLOWED: u64 = 15_000;
const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const START: i64 = 1_772_359_200_000;

const LIMITS: Limits = Limits {
    share: 0.8,
    reserve: 0.1,
    linger: Duration::from_millis(200),
    batch_size: 100,
    mirror_every: Duration::from_secs(60),
};

fn told(used: u64, at: i64) -> Told {
    Told {
        usage: Usage {
            used,
            allowed: ALLOWED,
        },
        at: Millis(at),
    }
}

fn situation(now: i64, used: u64) -> Situation<'static> {
    Situation {
        now: Millis(now),
        told: Some(told(used, now)),
        own: &[],
        waiting: ByPriority::default(),
    }
}

fn governor() -> Governor {
    Governor::new(LIMITS)
}

fn linger(lane: Lane) -> Option<Duration> {
    match lane {
        Lane::Send { linger, .. } => Some(linger),
        Lane::Wait => None,
    }
}

/// Lets the org use `calls` more each minute, from `used` on; the last decision.
fn minutes(governor: &mut Governor, from: i64, used: &mut u64, calls: u64, count: i64) -> Decision {
    let mut last = None;
    for minute in 1..=count {
        *used += calls;
        last = Some(governor.decide(&situation(from + minute * MINUTE_MS, *used)));
    }
    last.unwrap()
}

#[test]
fn before_the_first_answer_leads_go_as_they_come() {
    let unknown = Situation {
        told: None,
        ..situation(START, 0)
    };
    let decision = governor().decide(&unknown);
    assert_eq!(decision.state, BudgetState::RealTime);
    assert_eq!((decision.remaining, decision.empty_at), (None, None));
    let lane = Lane::Send {
        linger: LIMITS.linger,
        batch_size: 100,
    };
    assert_eq!(
        decision.lanes,
        ByPriority {
            low: lane,
            normal: lane,
            high: lane
        }
    );
}

#[test]
fn what_is_left_is_the_less_of_our_share_and_the_orgs() {
    let mut governor = governor();
    // 80 % are ours.
    assert_eq!(
        governor.decide(&situation(START, 0)).remaining,
        Some(12_000)
    );
    assert_eq!(
        governor.decide(&situation(START, 14_000)).remaining,
        Some(1_000)
    );
    let own = [
        (Millis(START - 26 * HOUR_MS), 5_000),
        (Millis(START - 3 * HOUR_MS), 7_000),
    ];
    let ours = Situation {
        own: &own,
        ..situation(START, 8_000)
    };
    assert_eq!(governor.decide(&ours).remaining, Some(5_000));
}

#[test]
fn a_rate_that_does_not_last_a_day_steps_down_to_batches_and_says_when_it_ends() {
    let mut governor = governor();
    let mut used = 0;
    // 60 an hour are 1,440 a day.
    let calm = minutes(&mut governor, START, &mut used, 1, 60);
    assert_eq!((calm.state, calm.empty_at), (BudgetState::RealTime, None));

    let from = START + 60 * MINUTE_MS;
    let busy = minutes(&mut governor, from, &mut used, 30, 60);
    assert_eq!(busy.state, BudgetState::Batches);
    // 1,800 an hour, by others; 15,000 - 1,860 are left, of which a tenth is kept.
    let empty_at = busy.empty_at.unwrap();
    let hours = empty_at.since(Millis(from + 60 * MINUTE_MS)).as_secs_f64() / 3_600.0;
    let expect = 15_000.0 - 1_860.0 - 1_500.0;
    assert!(hours <= expect / 1_800.0 * 1.2 && hours >= expect / 1_800.0 * 0.8);
    let [low, normal, high] = [0, 1, 2].map(|p| linger(*busy.lanes.of(p)).unwrap());
    assert_eq!(high, LIMITS.linger);
    assert!(normal > Duration::from_secs(10) && normal < Duration::from_secs(60));
    assert_eq!(low, normal * 4);
    assert!(matches!(
        busy.lanes.normal,
        Lane::Send {
            batch_size: 200,
            ..
        }
    ));
    assert!(busy.mirror_every.unwrap() > LIMITS.mirror_every);
}

#[test]
fn calm_brings_real_time_back_after_a_while_and_not_at_once() {
    let mut governor = governor();
    let mut used = 0;
    let busy = minutes(&mut governor, START, &mut used, 30, 60);
    assert_eq!(busy.state, BudgetState::Batches);
    let from = START + 60 * MINUTE_MS;
    let soon = minutes(&mut governor, from, &mut used, 0, 30);
    assert_eq!(soon.state, BudgetState::Batches);
    let later = minutes(&mut governor, from + 30 * MINUTE_MS, &mut used, 0, 240);
    assert_eq!(later.state, BudgetState::RealTime);
}

#[test]
fn with_a_tenth_left_urgent_leads_go_and_others_wait() {
    let mut governor = governor();
    let decision = governor.decide(&situation(START, 13_500));
    assert_eq!(decision.state, BudgetState::ReserveOnly);
    assert_eq!(decision.lanes.low, Lane::Wait);
    assert_eq!(decision.lanes.normal, Lane::Wait);
    assert!(linger(decision.lanes.high).unwrap() <= HIGH_LONGEST);
    assert_eq!(decision.mirror_every, Some(MIRROR_LONGEST));
    // Nothing but urgent leads asks: whether there is more is asked for.
    assert!(!decision.ask);
    let mut silent = situation(START + 11 * MINUTE_MS, 13_500);
    silent.told = Some(told(13_500, START));
    assert!(governor.decide(&silent).ask);
    governor.asked(silent.now);
    let after = governor.decide(&silent);
    assert!(!after.ask);
    assert_eq!(after.until, Some(silent.now.after(ASK_EVERY)));
}

#[test]
fn an_org_without_calls_is_asked_now_and_then_until_it_has_some() {
    let mut governor = governor();
    let none = governor.decide(&situation(START, ALLOWED));
    assert_eq!(none.state, BudgetState::Exhausted);
    assert_eq!(none.lanes.high, Lane::Wait);
    assert_eq!((none.mirror_every, none.remaining), (None, Some(0)));
    assert_eq!(none.until, Some(Millis(START).after(ASK_EVERY)));
    let again = governor.decide(&situation(START + 20 * MINUTE_MS, ALLOWED - 2_000));
    assert_eq!(again.state, BudgetState::Batches.min(again.state));
    assert_ne!(again.lanes.high, Lane::Wait);
}

#[test]
fn a_refusal_stops_all_until_the_org_says_otherwise() {
    let mut governor = governor();
    // The org lets some more through than it says, or less: its word at the refusal counts.
    let before = situation(START, 14_000);
    assert_ne!(governor.decide(&before).state, BudgetState::Exhausted);
    governor.refused(Millis(START));
    let held = governor.decide(&before);
    assert_eq!(held.state, BudgetState::Exhausted);
    assert_eq!(held.remaining, Some(0));
    let mut later = situation(START + 30 * MINUTE_MS, 0);
    later.told = Some(told(14_000, START));
    let later = governor.decide(&later);
    assert!(later.ask && later.state == BudgetState::Exhausted);
    let answered = governor.decide(&situation(START + 31 * MINUTE_MS, 12_000));
    assert!(answered.state < BudgetState::Exhausted);
}

#[test]
fn our_own_share_comes_back_when_its_calls_are_a_day_old() {
    let mut governor = governor();
    let own = [
        (Millis(START - 20 * HOUR_MS), 10),
        (Millis(START - 10 * HOUR_MS), 4_000),
        (Millis(START - HOUR_MS), 8_000),
    ];
    let spent = Situation {
        own: &own,
        ..situation(START, 12_100)
    };
    let decision = governor.decide(&spent);
    assert_eq!(decision.state, BudgetState::Exhausted);
    assert!(
        !decision.ask,
        "the org has calls; to ask would cost some of ours"
    );
    // The ten of the first hour are not enough for a step up, the next hour's are.
    assert_eq!(decision.until, Some(Millis(START + 15 * HOUR_MS)));
    let then = Situation {
        now: Millis(START + 15 * HOUR_MS),
        told: Some(told(8_000, START + 15 * HOUR_MS)),
        ..spent
    };
    assert!(governor.decide(&then).state < BudgetState::ReserveOnly);
}

#[test]
fn what_is_left_goes_to_ordinary_leads_before_lists() {
    let mut governor = governor();
    let mut used = 13_000;
    minutes(&mut governor, START, &mut used, 1, 20);
    let mut many = situation(START + 21 * MINUTE_MS, 13_300);
    many.waiting.normal = 100_000;
    let decision = governor.decide(&many);
    assert_eq!(decision.state, BudgetState::Batches);
    assert_eq!(decision.lanes.low, Lane::Wait);
    assert_ne!(decision.lanes.normal, Lane::Wait);
}

#[test]
fn a_clock_that_is_set_back_confuses_nobody() {
    let mut governor = governor();
    let mut used = 0;
    minutes(&mut governor, START, &mut used, 30, 60);
    governor.refused(Millis(START + 90 * MINUTE_MS));
    governor.asked(Millis(START + 90 * MINUTE_MS));
    let mut back = situation(START - HOUR_MS, used);
    back.told = Some(told(used, START));
    governor.decide(&back);
    let later = situation(START - HOUR_MS + MINUTE_MS, used);
    assert!(governor.decide(&later).state <= BudgetState::Batches);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_goes_that_may_not(
        steps in prop::collection::vec((0_i64..3 * HOUR_MS, 0_u64..20_000, 0_u64..13_000, 0_usize..5_000, any::<bool>()), 1..40),
    ) {
        let mut governor = governor();
        let mut now = START;
        for (wait, used, own, waiting, refused) in steps {
            now += wait;
            if refused {
                governor.refused(Millis(now));
            }
            let own = [(Millis(now - HOUR_MS), own)];
            let situation = Situation {
                own: &own,
                waiting: ByPriority { low: waiting, normal: waiting, high: 1 },
                ..situation(now, used)
            };
            let decision = governor.decide(&situation);
            let left = 12_000_u64.saturating_sub(own[0].1).min(ALLOWED.saturating_sub(used));
            let [low, normal, high] = [0, 1, 2].map(|p| linger(*decision.lanes.of(p)));
            if refused || left == 0 {
                prop_assert_eq!((low, normal, high), (None, None, None));
                prop_assert!(decision.until.unwrap() > Millis(now));
            } else if left <= 1_500 {
                prop_assert_eq!((low, normal), (None, None));
            }
            // Whoever may go goes in time.
            prop_assert!(high.is_none_or(|linger| linger <= HIGH_LONGEST));
            prop_assert!(normal.is_none_or(|linger| linger <= NORMAL_LONGEST));
            if decision.state < BudgetState::Exhausted {
                prop_assert!(high.is_some());
            } else {
                prop_assert!(decision.mirror_every.is_none());
            }
            prop_assert!(decision.empty_at.is_none_or(|at| at >= Millis(now)));
        }
    }

    #[test]
    fn a_number_that_trembles_at_an_edge_changes_little(
        edge in prop::sample::select(vec![3_000_u64, 13_500, 15_000]),
        noise in prop::collection::vec(0_u64..60, 200),
    ) {
        let mut governor = governor();
        let mut states = Vec::new();
        for (step, noise) in noise.into_iter().enumerate() {
            let used = edge.saturating_sub(30) + noise;
            let now = START + step as i64 * MINUTE_MS;
            states.push(governor.decide(&situation(now, used)).state);
        }
        let changes = states.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert!(changes <= 2, "{:?}", states);
    }

    /// A day of leads against an org that others use as well: our share is kept, and urgent leads
    /// never wait for more than a minute as long as the org has calls.
    #[test]
    fn a_day_keeps_to_its_share(
        leads_a_minute in 1_u64..300,
        others_a_minute in 0_u64..8,
    ) {
        let mut governor = governor();
        let mut own: Vec<(Millis, u64)> = Vec::new();
        let mut by_minute: VecDeque<u64> = VecDeque::new();
        let (mut waiting, mut last_sent) = (0_u64, START);
        for minute in 0..36 * 60_i64 {
            let now = START + minute * MINUTE_MS;
            waiting += leads_a_minute;
            let used: u64 = by_minute.iter().sum();
            let situation = Situation {
                own: &own,
                waiting: ByPriority { normal: waiting as usize, high: 1, low: 0 },
                ..situation(now, used)
            };
            let decision = governor.decide(&situation);
            let mut calls = 0;
            if let Lane::Send { linger, batch_size } = decision.lanes.normal {
                // In real time each lead is a call of its own, up to what the linger allows.
                let sends = if now - last_sent >= linger.as_millis() as i64 {
                    let slots = (MINUTE_MS / linger.as_millis().max(1) as i64).clamp(1, 300) as u64;
                    slots.min(waiting).max(waiting.div_ceil(batch_size as u64).min(300))
                } else {
                    0
                };
                if sends > 0 {
                    (waiting, last_sent) = (0, now);
                }
                calls += sends;
            }
            if decision.lanes.high != Lane::Wait && minute % 10 == 0 {
                calls += 1;
            }
            let hour = Millis(now.div_euclid(HOUR_MS) * HOUR_MS);
            match own.last_mut() {
                Some((last, count)) if *last == hour => *count += calls,
                _ => own.push((hour, calls)),
            }
            by_minute.push_back(calls + others_a_minute);
            if by_minute.len() > 24 * 60 {
                by_minute.pop_front();
            }
            let ours: u64 = own.iter().rev().take(24).map(|(_, calls)| calls).sum();
            // One minute's calls are decided at once.
            prop_assert!(ours <= 12_000 + 300, "{} in a day at minute {}", ours, minute);
        }
    }
}

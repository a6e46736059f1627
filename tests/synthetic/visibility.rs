use std::collections::BTreeMap;

use pingraph::model::{ActionRule, AgeAction, FIXED_ONE};
use pingraph::source::{Source, SyntheticSpec};

use super::{read, request, source};

const DAY_US: i64 = 86_400_000_000;

#[test]
fn rows_are_counted_by_what_becomes_of_them() {
    let synthetic = source(SyntheticSpec { lefts: 300, ..Default::default() });
    let mut request = request();
    request.as_of_us -= 20 * DAY_US;
    request.window_us = Some(30 * DAY_US);
    request.columns.action = Some("action".into());
    request.actions = vec![
        ("closeup".into(), ActionRule::Weight(FIXED_ONE)),
        ("hide".into(), ActionRule::Remove),
    ];
    let plan = synthetic.plan(&request).unwrap();
    let (kept, stats) = read(&synthetic, &request, &plan);

    let (mut rows, mut after, mut before) = (0, 0, 0);
    let mut visible = BTreeMap::<String, u64>::new();
    synthetic.for_each_event(0..300, |_, event| {
        rows += 1;
        if event.time_us >= request.as_of_us {
            after += 1;
        } else if event.time_us < request.as_of_us - 30 * DAY_US {
            before += 1;
        } else {
            *visible.entry(synthetic.actions()[usize::from(event.action)].clone()).or_default() +=
                1;
        }
        true
    });
    assert!(after > 0 && before > 0);
    assert_eq!(stats.rows_read, rows);
    assert_eq!(stats.rows_after_as_of, after);
    assert_eq!(stats.rows_before_window, before);
    assert_eq!(stats.rows_admitted, visible["closeup"] + visible["hide"]);
    assert_eq!(stats.rows_admitted as usize, kept.lines().len());
    assert_eq!(kept.rows, rows);
    let ignored = BTreeMap::from([
        ("click".to_owned(), visible["click"]),
        ("save".to_owned(), visible["save"]),
    ]);
    assert_eq!(stats.rows_ignored, ignored);
    visible.retain(|action, _| action == "closeup" || action == "hide");
    assert_eq!(stats.rows_by_action, visible);
    let counted: u64 = stats.rows_ignored.values().sum();
    assert_eq!(rows, stats.rows_admitted + after + before + counted);
}

#[test]
fn an_event_at_as_of_is_invisible_and_one_a_microsecond_before_has_age_1() {
    let synthetic = source(SyntheticSpec { lefts: 20, ..Default::default() });
    let mut last_us = i64::MIN;
    synthetic.for_each_event(0..20, |_, event| {
        last_us = last_us.max(event.time_us);
        true
    });
    let mut request = request();
    let plan = synthetic.plan(&request).unwrap();
    let mut oldest_age = |as_of_us| {
        request.as_of_us = as_of_us;
        let (kept, stats) = read(&synthetic, &request, &plan);
        let ages = kept.batches.iter().flat_map(|batch| &batch.age_action);
        (stats.rows_after_as_of, ages.map(|word| AgeAction(*word).age_us()).min())
    };
    let (after, youngest) = oldest_age(last_us);
    assert!(after == 1 && youngest > Some(1), "{after} {youngest:?}");
    assert_eq!(oldest_age(last_us + 1), (0, Some(1)));
}

#[test]
fn an_event_as_old_as_the_window_is_in_it() {
    let synthetic = source(SyntheticSpec { lefts: 20, ..Default::default() });
    let mut first_us = i64::MAX;
    synthetic.for_each_event(0..20, |_, event| {
        first_us = first_us.min(event.time_us);
        true
    });
    let mut request = request();
    let plan = synthetic.plan(&request).unwrap();
    request.window_us = Some(request.as_of_us - first_us);
    assert_eq!(read(&synthetic, &request, &plan).1.rows_before_window, 0);
    request.window_us = Some(request.as_of_us - first_us - 1);
    assert_eq!(read(&synthetic, &request, &plan).1.rows_before_window, 1);
}

#[test]
fn without_a_time_column_everything_is_visible() {
    let synthetic = source(SyntheticSpec { lefts: 20, ..Default::default() });
    let mut request = request();
    request.as_of_us = 0;
    request.columns.time = None;
    request.keep_age_action = false;
    let plan = synthetic.plan(&request).unwrap();
    let (kept, stats) = read(&synthetic, &request, &plan);
    assert_eq!(stats.rows_admitted, stats.rows_read);
    assert!(kept.batches.iter().all(|batch| batch.age_action.is_empty()));
}

#[test]
fn columns_that_do_not_exist_are_errors_with_the_nearest_name() {
    let synthetic = source(SyntheticSpec::default());
    let mut wrong = request();
    wrong.columns.left = "usr_id".into();
    let error = synthetic.plan(&wrong).unwrap_err();
    assert!(error.to_string().contains("did you mean \"user_id\""), "{error}");
    let mut weighted = request();
    weighted.columns.weight = Some("weight".into());
    assert!(synthetic.plan(&weighted).is_err());
}

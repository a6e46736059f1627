use rand::{Rng, SeedableRng};

use pingraph::source::{
    Communities, KeyStyle, LeftDegree, PowerTail, RightPopularity, Source, Split, SyntheticSpec,
};

use super::{assert_near, degrees, edges, quantile, read, request, source};

#[test]
fn events_are_the_same_for_any_cut_into_splits() {
    for keys in [KeyStyle::Int64, KeyStyle::Utf8] {
        let spec = SyntheticSpec { lefts: 500, rights: 300, keys, ..SyntheticSpec::default() };
        let all = source(spec);
        let mut plan = all.plan(&request()).unwrap();
        let whole = read(&all, &request(), &plan).0.lines();
        assert!(whole.len() > 5_000);
        for pieces in [1, 3, 17, 500] {
            plan.splits = (0..pieces)
                .map(|i| Split {
                    file: 0,
                    groups: i * 500 / pieces..(i + 1) * 500 / pieces,
                    rows: None,
                    bytes: 0,
                })
                .collect();
            // A source of its own, read from the last split to the first.
            let other = source(all.spec().clone());
            let mut lines: Vec<Vec<String>> = Vec::new();
            for split in (0..pieces).rev() {
                let mut kept = super::Kept::default();
                other.read(&request(), &plan, split, &mut kept).unwrap();
                lines.push(kept.lines());
            }
            lines.reverse();
            assert_eq!(lines.concat(), whole, "{pieces} splits");
        }
    }
}

#[test]
fn the_plan_covers_every_left_node_once() {
    let spec = SyntheticSpec { lefts: 100_001, ..SyntheticSpec::default() };
    let plan = source(spec).plan(&request()).unwrap();
    assert!(plan.splits.len() > 4, "{} splits", plan.splits.len());
    let mut next = 0;
    for split in &plan.splits {
        assert_eq!(split.groups.start, next);
        next = split.groups.end;
    }
    assert_eq!(next, 100_001);
}

#[test]
fn another_seed_gives_other_events() {
    let spec = SyntheticSpec { lefts: 100, ..SyntheticSpec::default() };
    let other = SyntheticSpec { seed: 2, ..spec.clone() };
    assert_ne!(edges(&source(spec)), edges(&source(other)));
}

#[test]
fn left_degrees_follow_offset_and_lognormal() {
    let left_degree = LeftDegree { offset: 8.0, mu: 2.571, sigma: 1.137, tail: None };
    let spec = SyntheticSpec { lefts: 20_000, rights: 20_000, left_degree, ..Default::default() };
    let degrees = degrees(edges(&source(spec)).into_iter().map(|edge| edge.0));
    assert_eq!(degrees.len(), 20_000);
    assert_near(quantile(&degrees, 0.5), 8.0 + 2.571f64.exp(), 0.03);
    assert_near(quantile(&degrees, 0.99), 8.0 + (2.571f64 + 2.326 * 1.137).exp(), 0.08);
}

#[test]
fn the_power_tail_has_its_exponent() {
    let left_degree = LeftDegree {
        offset: 0.0,
        mu: 3.0,
        sigma: 1.0,
        tail: Some(PowerTail { exponent: 2.7, from: 30.0, to: 3_000.0 }),
    };
    let spec = SyntheticSpec { lefts: 10_000, rights: 20_000, left_degree, ..Default::default() };
    let degrees = degrees(edges(&source(spec)).into_iter().map(|edge| edge.0));
    let above = |x: f64| degrees.iter().filter(|d| **d > x).count() as f64;
    // With density d^-2.7 the share above twice a value is 2^-1.7.
    assert_near(above(60.5) / above(30.5), 2f64.powf(-1.7), 0.06);
    assert_near(above(121.5) / above(30.5), 4f64.powf(-1.7), 0.15);
}

#[test]
fn right_degrees_follow_popularity() {
    let right_popularity = RightPopularity { offset: 0.0, mu: 4.357, sigma: 0.78 };
    let left_degree = LeftDegree { offset: 0.0, mu: 1.5, sigma: 0.3, ..Default::default() };
    let spec = SyntheticSpec {
        lefts: 40_000,
        rights: 2_000,
        left_degree,
        right_popularity,
        ..Default::default()
    };
    let edges = edges(&source(spec));
    let mean = edges.len() as f64 / 2_000.0;
    let degrees = degrees(edges.into_iter().map(|edge| edge.1));
    // The median of a lognormal is exp(-sigma^2 / 2) of its mean.
    assert_near(quantile(&degrees, 0.5), mean * (-0.78f64 * 0.78 / 2.0).exp(), 0.1);
    assert_near(quantile(&degrees, 0.99) / quantile(&degrees, 0.5), (2.326f64 * 0.78).exp(), 0.15);
}

#[test]
fn communities_cluster_the_graph_far_above_its_shuffle() {
    let spec = SyntheticSpec { lefts: 3_000, rights: 12_000, ..Default::default() };
    let found = edges(&source(spec.clone()));
    let clustering = clustering(&found);
    let null = self::clustering(&shuffled(&found));
    assert!(clustering > 3.0 * null, "{clustering} against {null}");
    // Without communities nothing is left of it.
    let communities = Communities { inside: 0.0, ..Default::default() };
    let plain = self::clustering(&edges(&source(SyntheticSpec { communities, ..spec })));
    assert!(plain < 1.5 * null, "{plain} against {null}");
}

/// Robins and Alexander (2004): the share of paths of three edges that close into a square.
fn clustering(edges: &[(u32, u32)]) -> f64 {
    let (mut rights_of, mut lefts_of) = (vec![vec![]; 3_000], vec![vec![]; 12_000]);
    for &(left, right) in edges {
        rights_of[left as usize].push(right);
        lefts_of[right as usize].push(left);
    }
    let paths: usize = edges
        .iter()
        .map(|&(l, r)| (rights_of[l as usize].len() - 1) * (lefts_of[r as usize].len() - 1))
        .sum();
    let mut squares = 0u64;
    for (left, rights) in rights_of.iter().enumerate() {
        let mut common = vec![0u64; left];
        for &right in rights {
            for &other in lefts_of[right as usize].iter().filter(|&&other| (other as usize) < left)
            {
                common[other as usize] += 1;
            }
        }
        squares += common.iter().map(|c| c * c.saturating_sub(1) / 2).sum::<u64>();
    }
    4.0 * squares as f64 / paths as f64
}

/// The same degrees on both sides, edges otherwise at random: ten swaps an edge.
fn shuffled(edges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut edges = edges.to_vec();
    let mut present: std::collections::HashSet<_> = edges.iter().copied().collect();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let count = edges.len() as u64;
    for _ in 0..10 * count {
        let (i, j) = ((random.next_u64() % count) as usize, (random.next_u64() % count) as usize);
        let (a, b) = ((edges[i].0, edges[j].1), (edges[j].0, edges[i].1));
        if !present.contains(&a) && !present.contains(&b) {
            present.remove(&edges[i]);
            present.remove(&edges[j]);
            present.extend([a, b]);
            (edges[i], edges[j]) = (a, b);
        }
    }
    edges
}

#[test]
fn actions_and_repeats_have_their_shares_and_times_their_span() {
    let spec = SyntheticSpec { repeat: 0.25, duplicate: 0.01, days: 7, ..Default::default() };
    let pairs = edges(&source(spec.clone())).len() as f64;
    let generated = source(spec);
    assert_eq!(generated.actions(), ["click", "closeup", "hide", "save"]);
    let (begin_us, end_us) = generated.span_us();
    let (mut by_action, mut by_day) = ([0f64; 4], [0f64; 7]);
    let (mut events, mut twins) = (0f64, 0f64);
    let mut last = None;
    generated.for_each_event(0..2_000, |left, event| {
        assert!((begin_us..end_us).contains(&event.time_us) && event.time_us % 1_000 == 0);
        by_action[usize::from(event.action)] += 1.0;
        by_day[((event.time_us - begin_us) / 86_400_000_000) as usize] += 1.0;
        events += 1.0;
        twins += f64::from(u8::from(last == Some((left, *event))));
        last = Some((left, *event));
        true
    });
    for (rows, share) in by_action.into_iter().zip([0.08, 0.7, 0.02, 0.2]) {
        assert_near(rows / events, share, 0.1);
    }
    for rows in by_day {
        assert_near(rows, events / 7.0, 0.05);
    }
    assert_near((events - twins) / pairs, 1.0 / 0.75, 0.02);
    assert_near(twins / events, 0.01, 0.15);
}

#[test]
fn expected_events_are_near_the_real_ones() {
    for name in ["sample", "small_boards", "small_heavy"] {
        let path = format!("{}/datasets/specs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let spec = SyntheticSpec::from_file(path.as_ref()).unwrap();
        let mut events = 0f64;
        source(spec.clone()).for_each_event(0..spec.lefts, |_, _| {
            events += 1.0;
            true
        });
        assert_near(spec.expected_events(), events, 0.1);
    }
}

#[test]
fn a_left_node_cannot_have_more_rights_than_there_are() {
    let left_degree = LeftDegree { mu: 8.0, ..Default::default() };
    let spec = SyntheticSpec { lefts: 10, rights: 20, left_degree, ..Default::default() };
    let degrees = degrees(edges(&source(spec)).into_iter().map(|edge| edge.0));
    assert_eq!(degrees.len(), 10);
    assert!(degrees[9] <= 20.0 && degrees[0] >= 15.0, "{degrees:?}");
}

#[test]
fn utf8_keys_name_the_same_graph() {
    let spec = SyntheticSpec { lefts: 50, ..Default::default() };
    let numbers = source(spec.clone());
    let texts = source(SyntheticSpec { keys: KeyStyle::Utf8, ..spec });
    let plan = numbers.plan(&request()).unwrap();
    let numbers = read(&numbers, &request(), &plan).0;
    let texts = read(&texts, &request(), &plan).0;
    let first = |kept: &super::Kept| kept.batches[0].left.get(0).to_string();
    assert_eq!((first(&numbers), first(&texts)), ("10000019".into(), "user_000000".into()));
    for (a, b) in numbers.lines().iter().zip(texts.lines()) {
        let words: Vec<&str> = a.split(' ').collect();
        let left = (words[0].parse::<i64>().unwrap() - 10_000_019) / 7;
        let right = (words[1].parse::<i64>().unwrap() - 500_000_003) / 1_009;
        assert_eq!(b, format!("user_{left:06} pin_{right:06} {}", words[2]));
    }
    assert_eq!(numbers.rows, texts.rows);
}

#[test]
fn wrong_specs_name_the_key() {
    for (text, part) in [
        ("lefts = 0", "lefts"),
        ("repeat = 1.0", "repeat"),
        ("days = 0", "days"),
        ("ends = 'soon'", "ends"),
        ("actions = { save = 0.5 }", "actions"),
        ("communities = { inside = nan }", "communities.inside"),
        ("left_degree = { tail = { exponent = 2.7, from = 10.0, to = 5.0 } }", "left_degree.tail"),
    ] {
        let spec: SyntheticSpec = toml::from_str(text).unwrap();
        let error = spec.validate().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spec.toml");
    std::fs::write(&path, "lefts = 3\nrigths = 5\n").unwrap();
    let error = SyntheticSpec::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("rigths"), "{error}");
}

//! A job built in code is the job of the file.

use pingraph::job::Job;
use pingraph::model::{KeyType, TimeUnit};

use crate::example::EXAMPLE;
use crate::support::{SHORT, load, registry};

fn params(text: &str) -> toml::Table {
    text.parse().unwrap()
}

fn assert_same(built: &Job, loaded: &Job) {
    assert_eq!(built.canonical, loaded.canonical);
    assert_eq!(built.name, loaded.name);
    assert_eq!(built.rejects_max, loaded.rejects_max);
    assert_eq!(built.source_label, loaded.source_label);
    assert_eq!(built.scan, loaded.scan);
    assert_eq!(built.graph, loaded.graph);
    assert_eq!(built.out, loaded.out);
    let features = |job: &Job| -> Vec<[String; 3]> {
        let plans = job.features.iter();
        plans.map(|plan| [&plan.name, &plan.signal, &plan.params].map(String::clone)).collect()
    };
    assert_eq!(features(built), features(loaded));
}

#[test]
fn the_example_is_built() {
    let built = Job::builder()
        .name("related_pins")
        .as_of("2026-11-01T00:00:00Z")
        .rejects_max(0.002)
        .parquet("datasets/sample")
        .columns("user_id", "pin_id")
        .action_column("action")
        .time_column("event_time")
        .weight_column("weight")
        .sides("user", "pin")
        .window("90d")
        .half_life("30d")
        .left_degree_max(1000)
        .left_degree_min(2)
        .right_degree_min(3)
        .action("save", 1.0)
        .action("closeup", 0.25)
        .removing_action("hide")
        .feature("related_v1", "co_engagement", params("measure = \"cosine\"\ntop_k = 50"))
        .out("out/elsewhere")
        .build_with(&registry())
        .unwrap();
    assert_same(&built, &load(EXAMPLE).unwrap());
}

#[test]
fn the_short_job_is_built() {
    let built = Job::builder()
        .name("short")
        .as_of("2026-11-01")
        .parquet("datasets/sample")
        .columns("user_id", "pin_id")
        .time_column("t")
        .time_unit(TimeUnit::Second)
        .key_types(KeyType::Int64, KeyType::Utf8)
        .feature("related_v1", "co_engagement", params("top_k = 10"))
        .build_with(&registry())
        .unwrap();
    let more = "right = \"pin_id\"\ntime = \"t\"\ntime_unit = \"s\"\nleft_type = \"int64\"\n\
                right_type = \"utf8\"";
    assert_same(&built, &load(&SHORT.replace("right = \"pin_id\"", more)).unwrap());
}

#[test]
fn errors_name_the_key() {
    let builder = || {
        Job::builder()
            .name("short")
            .as_of("2026-11-01")
            .csv("x.csv")
            .columns("user_id", "pin_id")
            .feature("related_v1", "co_engagement", params("top_k = 10"))
    };
    let error = |builder: pingraph::job::JobBuilder| {
        builder.build_with(&registry()).err().unwrap().to_string()
    };
    assert!(builder().build_with(&registry()).is_ok());
    assert_eq!(
        error(builder().window("90d")),
        "graph.window: window needs a time column; set columns.time, or remove window"
    );
    assert_eq!(
        error(builder().feature("related_v1", "weighted", toml::Table::new())),
        "features.related_v1: a second feature named `related_v1`; give each feature a name of its \
         own"
    );
    assert_eq!(
        error(builder().feature("x", "co_engagement", params("topk = 1"))),
        "features.x.co_engagement.topk: unknown key; did you mean `top_k`?"
    );
    assert_eq!(
        error(Job::builder()),
        "job.name: the job has no name; set job.name, for example \"related_pins\""
    );
}

//! Processes in network namespaces of their own, whose network is cut in the middle of a run.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::processes::{JOB, end, prepared, published, reference};
use crate::support::{Place, skip};

/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two namespaces joined by a cable of their own.
struct Network {
    names: [String; 2],
}

impl Network {
    /// Makes the namespaces; `None` where this process may not.
    fn new(name: &str) -> Option<Network> {
        let names = ["a", "b"].map(|side| format!("pg{}{name}{side}", std::process::id()));
        let network = Network { names };
        let [a, b] = &network.names;
        let cable = format!("ip -n {a} link add pg0 type veth peer name pg0 netns {b}");
        let own = |index: usize, name: &str| {
            format!(
                "ip -n {name} addr add 10.77.0.{}/24 dev pg0 && ip -n {name} link set pg0 up && \
                 ip -n {name} link set lo up",
                index + 1
            )
        };
        let all = format!(
            "ip netns add {a} && ip netns add {b} && {cable} && {} && {}",
            own(0, a),
            own(1, b)
        );
        shell(&all).then_some(network)
    }

    /// Cuts the cable, so that nothing arrives and nobody is told.
    fn cut(&self) {
        let [a, b] = &self.names;
        assert!(shell(&format!("ip -n {a} link set pg0 down; ip -n {b} link set pg0 down")));
    }

    /// Process `index` of `hosts.txt`, in its namespace.
    fn member(&self, place: &Place, index: usize) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[index]]).arg(env!("CARGO_BIN_EXE_pingraph"));
        command.args([
            "--log",
            "json",
            "run",
            "job.toml",
            "--workers",
            "1",
            "--hosts",
            "hosts.txt",
        ]);
        command.args(["--process", &index.to_string(), "--peer-timeout", "3s"]);
        command.args(["--connect-timeout", "8s"]).current_dir(place.path(""));
        let mut command = prepared(command, place);
        command.env("PINGRAPH_SECRET", "a secret for this test alone");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let [a, b] = &self.names;
        shell(&format!("ip netns del {a}; ip netns del {b}"));
    }
}

fn shell(command: &str) -> bool {
    let ended = Command::new("sh").args(["-c", command]).stderr(Stdio::null()).status();
    ended.is_ok_and(|status| status.success())
}

/// Calls `act` when `child` logs that `stage` has begun, and gives all that it logs.
fn when(child: &mut Child, stage: &str, act: impl FnOnce()) -> std::thread::JoinHandle<String> {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let begun = format!("\"stage\":\"{stage}\"");
    let mut log = String::new();
    for line in lines.by_ref().map_while(Result::ok) {
        let due = line.contains("stage_started") && line.contains(&begun);
        log.push_str(&line);
        log.push('\n');
        if due {
            act();
            break;
        }
    }
    std::thread::spawn(move || {
        lines.map_while(Result::ok).fold(log, |log, line| log + &line + "\n")
    })
}

#[test]
fn a_network_that_is_cut_ends_the_run_on_both_sides() {
    let Some(network) = Network::new("x") else {
        skip("a network that is cut (this process may not make network namespaces)");
        return;
    };
    drop(network);
    let place = Place::new(JOB);
    let whole = reference(&place);
    place.write("hosts.txt", b"10.77.0.1\n10.77.0.2\n");
    // In the exchange, in the last feature, and about when it is published.
    for (number, stage) in ["edges", "related", "write", "publish"].into_iter().enumerate() {
        let network = Network::new(&number.to_string()).unwrap();
        let (mut first, second) = (network.member(&place, 0), network.member(&place, 1));
        let log = when(&mut first, stage, || network.cut());
        let cut = Instant::now();
        let outcomes = [end(first, PATIENCE), end(second, PATIENCE)];
        let log = log.join().unwrap();
        assert!(cut.elapsed() < Duration::from_secs(6), "{stage}: {:?}", cut.elapsed());
        let found = published(&place);
        let nothing = found.iter().all(Option::is_none);
        assert!(nothing || found == whole, "{stage}: {:?}", place.out());
        assert!(!place.path("out/_tmp").exists(), "{stage}: staging stays: {:?}", place.out());
        match stage {
            // It was published before the loss could be known; the other process cannot know.
            "publish" => assert!(outcomes[0].code == Some(0) || nothing, "{outcomes:?}"),
            _ => {
                assert!(nothing, "{stage}: {:?}", place.out());
                assert_eq!(outcomes[0].code, Some(4), "{stage}: {log}");
                assert!(log.contains("process 1 (host 10.77.0.2:7411) was lost"), "{log}");
                assert_eq!(outcomes[1].code, Some(4), "{stage}: {outcomes:?}");
                let named = "process 0 (host 10.77.0.1:7411) was lost";
                assert!(outcomes[1].err.contains(named), "{outcomes:?}");
            }
        }
        std::fs::remove_dir_all(place.path("out")).ok();
    }
    // Before they meet.
    let network = Network::new("c").unwrap();
    network.cut();
    let members = [0, 1].map(|index| network.member(&place, index));
    for (index, member) in members.into_iter().enumerate() {
        let outcome = end(member, PATIENCE);
        assert_eq!(outcome.code, Some(4), "{outcome:?}");
        let missing = format!("missing: process {}", 1 - index);
        assert!(outcome.err.contains(&missing), "{outcome:?}");
    }
    assert!(!place.path("out").exists());
}

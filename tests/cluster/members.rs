//! Hosts and indices from files and variables; nothing of the real environment.

use std::collections::HashMap;
use std::fs;

use pingraph::cluster::{HOSTS_MAX, Membership, membership};

fn from(
    file: Option<&str>,
    process: Option<usize>,
    variables: &[(&str, &str)],
) -> Result<Option<Membership>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    if let Some(text) = file {
        fs::write(&path, text).unwrap();
    }
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let path = file.map(|_| path.as_path());
    membership(path, process, &|name| variables.get(name).cloned())
        .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), ""))
}

fn of(hosts: &[&str], process: usize) -> Result<Option<Membership>, String> {
    let hosts = hosts.iter().map(|host| host.to_string()).collect();
    Ok(Some(Membership { hosts, process }))
}

#[test]
fn hosts() {
    let file =
        "# the first\na:1\n\n  b  # no port\n[::1]\n[FE80::1]:80\n10.0.0.1\nUp.Per-1:65535\n";
    let hosts = ["a:1", "b:7411", "[::1]:7411", "[fe80::1]:80", "10.0.0.1:7411", "up.per-1:65535"];
    assert_eq!(from(Some(file), Some(2), &[]), of(&hosts, 2));
    let variables = [("PINGRAPH_HOSTS", "a, b:7412,[::1]:3"), ("PINGRAPH_PROCESS", " 1 ")];
    assert_eq!(from(None, None, &variables), of(&["a:7411", "b:7412", "[::1]:3"], 1));
    // The command line goes before.
    assert_eq!(from(Some("c\nd\n"), None, &variables), of(&["c:7411", "d:7411"], 1));
    assert_eq!(from(None, None, &[]), Ok(None));
    assert_eq!(from(None, None, &[("PINGRAPH_HOSTS", " ")]), Ok(None));
    // A path.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    fs::write(&path, "a\nb\n").unwrap();
    let variables = [("PINGRAPH_HOSTS", path.to_str().unwrap())];
    assert_eq!(from(None, Some(0), &variables), of(&["a:7411", "b:7411"], 0));
}

#[test]
fn hosts_that_are_none() {
    let cases = [
        ("a\nb:0\n", "/hosts, line 2: \"b:0\" is no host: a port is 1 to 65535"),
        ("a:65536", "/hosts, line 1: \"a:65536\" is no host: a port is 1 to 65535"),
        ("a:x", "/hosts, line 1: \"a:x\" is no host: a port is 1 to 65535"),
        ("a:", "/hosts, line 1: \"a:\" is no host: a port is 1 to 65535"),
        ("::1", "/hosts, line 1: \"::1\" is no host: an IPv6 address stands in brackets"),
        ("[::1", "/hosts, line 1: \"[::1\" is no host: its bracket is not closed"),
        ("[a]", "/hosts, line 1: \"[a]\" is no host: brackets are for an IPv6 address"),
        ("[::1]80", "/hosts, line 1: \"[::1]80\" is no host: only :port may follow the bracket"),
        (
            "a b",
            "/hosts, line 1: \"a b\" is no host: a name or an address is wanted, or either with :port",
        ),
        (
            "a\nb\n\nA:7411",
            "/hosts, line 4: a:7411 is given twice, as host 0 and 2; each process needs a port of its own",
        ),
        ("# none\n", "/hosts: the list of hosts is empty"),
    ];
    for (text, words) in cases {
        assert_eq!(from(Some(text), Some(0), &[]), Err(words.to_owned()));
    }
    let list = from(None, Some(0), &[("PINGRAPH_HOSTS", "a,,b")]);
    assert_eq!(list, Err("PINGRAPH_HOSTS: \"\" is no host: it is empty".to_owned()));
    let many: String = (0..=HOSTS_MAX).map(|index| format!("h{index}\n")).collect();
    assert!(from(Some(&many), Some(0), &[]).unwrap_err().contains("at most 1024 hosts"));
    assert!(
        from(None, None, &[("PINGRAPH_HOSTS", "/no/such/file")])
            .unwrap_err()
            .starts_with("/no/such/file: hosts cannot be read: ")
    );
}

#[test]
fn the_index() {
    let two = Some("a\nb\n");
    let is = |process| of(&["a:7411", "b:7411"], process);
    let err = |words: &str| Err(words.to_owned());
    assert_eq!(from(two, Some(1), &[("PINGRAPH_PROCESS", "1"), ("SLURM_PROCID", "0")]), is(1));
    assert_eq!(from(two, None, &[("PINGRAPH_PROCESS", "0"), ("SLURM_PROCID", "1")]), is(0));
    assert_eq!(from(two, None, &[("SLURM_PROCID", "1"), ("SLURM_NTASKS", "2")]), is(1));
    let pod = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("HOSTNAME", "pins-graph-1")];
    assert_eq!(from(two, None, &pod), is(1));
    assert_eq!(from(Some("a"), None, &[]), of(&["a:7411"], 0));

    let unknown = "hosts are given, but not which of them this process is; \
                   give --process or PINGRAPH_PROCESS";
    assert_eq!(from(two, None, &[]), err(unknown));
    // A host's name alone tells nothing, nor does a pod's without a number.
    assert_eq!(from(two, None, &[("HOSTNAME", "node-1")]), err(unknown));
    let pod = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("HOSTNAME", "pins-7c9f-x2x")];
    assert_eq!(from(two, None, &pod), err(unknown));
    assert_eq!(
        from(two, Some(2), &[]),
        err("--process is 2, but there are 2 hosts; 0 to 1 are there")
    );
    assert_eq!(
        from(two, None, &[("SLURM_PROCID", "5")]),
        err("SLURM_PROCID is 5, but there are 2 hosts; 0 to 1 are there")
    );
    assert_eq!(
        from(two, None, &[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "3")]),
        err("SLURM_NTASKS: Slurm starts 3 processes, but there are 2 hosts")
    );
    assert_eq!(
        from(two, Some(0), &[("PINGRAPH_PROCESS", "1")]),
        err("--process is 0, but PINGRAPH_PROCESS is 1; give one of them")
    );
    assert_eq!(
        from(two, None, &[("PINGRAPH_PROCESS", "-1")]),
        err("PINGRAPH_PROCESS: \"-1\" is no index of a process")
    );
    let nobody = "--process is given, but no hosts; name them by --hosts or PINGRAPH_HOSTS";
    assert_eq!(from(None, Some(0), &[]), err(nobody));
    assert!(from(None, None, &[("PINGRAPH_PROCESS", "0")]).is_err());
    // One process of many under Slurm is no run of several.
    assert_eq!(from(None, None, &[("SLURM_PROCID", "3")]), Ok(None));
}

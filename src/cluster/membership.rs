//! Who takes part in a run: the hosts, and which of them this process is.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::model::{Error, Result};

/// Environment variable with the hosts, separated by commas, or the path of a file of them (a
/// value with a `/` is a path).
pub const HOSTS_VARIABLE: &str = "PINGRAPH_HOSTS";
/// Environment variable with the index of this process.
pub const PROCESS_VARIABLE: &str = "PINGRAPH_PROCESS";
/// The port of a host that names none.
pub const PORT_DEFAULT: u16 = 7411;
/// Processes of a run at most.
pub const HOSTS_MAX: usize = 1024;
/// Bytes of a list of hosts at most: all of it is part of the handshake.
const HOSTS_BYTES_MAX: u64 = 48 << 10;

/// The processes of a run, and which of them this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// `host:port` of each process, in order.
    pub hosts: Vec<String>,
    /// The index of this process.
    pub process: usize,
}

/// The membership that command line and environment tell, or none if they name no hosts.
///
/// Hosts are those of the file `hosts`, else of `PINGRAPH_HOSTS`. The index is `process` or
/// `PINGRAPH_PROCESS`, else `SLURM_PROCID`, else, on Kubernetes, the ordinal at the end of the
/// pod's name as a StatefulSet gives it.
pub fn membership(
    hosts: Option<&Path>,
    process: Option<usize>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Membership>> {
    let list = env(HOSTS_VARIABLE).filter(|list| !list.trim().is_empty());
    let hosts = match (hosts, list) {
        (Some(path), _) => hosts_of_file(path)?,
        (None, Some(list)) if list.contains('/') => hosts_of_file(Path::new(list.trim()))?,
        (None, Some(list)) => parse_hosts(list.split(',').map(|host| (None, host)))
            .map_err(|error| error.column(HOSTS_VARIABLE))?,
        (None, None) => {
            let index = process.map(|_| "--process");
            let index = index.or(env(PROCESS_VARIABLE).map(|_| PROCESS_VARIABLE));
            return match index {
                Some(index) => Err(Error::job(format!("{index} is given, but no hosts"))
                    .remedy(format!("name them by --hosts or {HOSTS_VARIABLE}"))),
                None => Ok(None),
            };
        }
    };
    let (process, origin) = index(process, env, hosts.len())?;
    if process >= hosts.len() {
        let what = format!("{origin} is {process}, but there are {} hosts", hosts.len());
        return Err(Error::job(what).remedy(format!("0 to {} are there", hosts.len() - 1)));
    }
    Ok(Some(Membership { hosts, process }))
}

/// The index of this process, and where it is from.
fn index(
    process: Option<usize>,
    env: &dyn Fn(&str) -> Option<String>,
    hosts: usize,
) -> Result<(usize, &'static str)> {
    let number = |name: &str| match env(name) {
        None => Ok(None),
        Some(text) => text.trim().parse::<usize>().map(Some).map_err(|_| {
            Error::job(format!("{:?} is no index of a process", text.trim())).column(name)
        }),
    };
    match (process, number(PROCESS_VARIABLE)?) {
        (Some(flag), Some(variable)) if flag != variable => {
            let what = format!("--process is {flag}, but {PROCESS_VARIABLE} is {variable}");
            return Err(Error::job(what).remedy("give one of them"));
        }
        (Some(flag), _) => return Ok((flag, "--process")),
        (None, Some(variable)) => return Ok((variable, PROCESS_VARIABLE)),
        (None, None) => {}
    }
    if let Some(rank) = number("SLURM_PROCID")? {
        if let Some(tasks) = number("SLURM_NTASKS")?.filter(|tasks| *tasks != hosts) {
            let what = format!("Slurm starts {tasks} processes, but there are {hosts} hosts");
            return Err(Error::job(what).column("SLURM_NTASKS"));
        }
        return Ok((rank, "SLURM_PROCID"));
    }
    if env("KUBERNETES_SERVICE_HOST").is_some() {
        let name = env("HOSTNAME").unwrap_or_default();
        let ordinal = name.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse().ok());
        if let Some(ordinal) = ordinal {
            return Ok((ordinal, "the ordinal of the pod"));
        }
    }
    if hosts == 1 {
        return Ok((0, "the index"));
    }
    Err(Error::job("hosts are given, but not which of them this process is")
        .remedy(format!("give --process or {PROCESS_VARIABLE}")))
}

fn hosts_of_file(path: &Path) -> Result<Vec<String>> {
    let unreadable = |error| Error::job(format!("hosts cannot be read: {error}")).path(path);
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(4 * HOSTS_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    let lines = (1..).zip(text.lines()).map(|(number, line)| {
        let host = line.split_once('#').map_or(line, |(host, _)| host);
        (Some(number), host)
    });
    let lines = lines.filter(|(_, host)| !host.trim().is_empty());
    parse_hosts(lines).map_err(|error| error.path(path))
}

/// Hosts with their ports from pieces of text, each with its line.
fn parse_hosts<'a>(pieces: impl Iterator<Item = (Option<u64>, &'a str)>) -> Result<Vec<String>> {
    let mut hosts = Vec::new();
    let mut seen = HashMap::new();
    let mut bytes = 0;
    for (line, piece) in pieces {
        let at = |error: Error| line.map_or(error.clone(), |line| error.line(line));
        let host = parse_host(piece.trim()).map_err(at)?;
        bytes += host.len() as u64 + 4;
        if let Some(other) = seen.insert(host.clone(), hosts.len()) {
            let what = format!("{host} is given twice, as host {other} and {}", hosts.len());
            return Err(at(Error::job(what).remedy("each process needs a port of its own")));
        }
        hosts.push(host);
        if hosts.len() > HOSTS_MAX || bytes > HOSTS_BYTES_MAX {
            return Err(Error::job(format!(
                "at most {HOSTS_MAX} hosts, in {HOSTS_BYTES_MAX} bytes"
            )));
        }
    }
    if hosts.is_empty() {
        return Err(Error::job("the list of hosts is empty"));
    }
    Ok(hosts)
}

/// `host:port` of a host with or without a port.
fn parse_host(text: &str) -> Result<String> {
    let wrong = |what: &str| Err(Error::job(format!("{text:?} is no host: {what}")));
    if text.is_empty() {
        return wrong("it is empty");
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else {
            return wrong("its bracket is not closed");
        };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return wrong("brackets are for an IPv6 address");
        }
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return wrong("only :port may follow the bracket"),
            Some(port) => Some(port),
        };
        (format!("[{}]", address.to_lowercase()), port)
    } else {
        let (host, port) = match text.split_once(':') {
            None => (text, None),
            Some((_, port)) if port.contains(':') => {
                return wrong("an IPv6 address stands in brackets");
            }
            Some((host, port)) => (host, Some(port)),
        };
        let letter = |c: char| c.is_alphanumeric() || "-._".contains(c);
        if host.is_empty() || !host.chars().all(letter) {
            return wrong("a name or an address is wanted, or either with :port");
        }
        (host.to_lowercase(), port)
    };
    let port = match port.map(str::parse::<u16>) {
        None => PORT_DEFAULT,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return wrong("a port is 1 to 65535"),
    };
    Ok(format!("{host}:{port}"))
}

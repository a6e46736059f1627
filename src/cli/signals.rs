//! `pingraph signals`: what can be computed, with parameters, defaults, formula and reference.

use std::io::Write;

use clap::Args;

use super::output_error;
use crate::model::Result;
use crate::signals::{Registry, Signal};

/// Columns of a line of text.
const WIDTH: usize = 100;

/// Arguments of `signals`.
#[derive(Args, Debug)]
pub struct SignalsArgs {
    /// Name of a signal; without one, all are listed.
    pub name: Option<String>,
}

/// Prints all signals, or everything about one.
///
/// # Errors
/// When there is no such signal, or the output cannot be written.
pub fn run(args: &SignalsArgs, out: &mut dyn Write) -> Result<()> {
    let registry = Registry::default();
    match &args.name {
        None => list(&registry, out).map_err(output_error),
        Some(name) => describe(registry.find(name)?, out).map_err(output_error),
    }
}

fn list(registry: &Registry, out: &mut dyn Write) -> std::io::Result<()> {
    let width = registry.iter().map(|signal| signal.name().len()).max().unwrap_or(0).max(6);
    writeln!(out, "{:width$}  {:9}  what it computes", "signal", "kernel")?;
    for signal in registry.iter() {
        let doc = signal.doc();
        let indent = width + 13;
        let summary = wrapped(doc.summary, indent);
        writeln!(out, "{:width$}  {:9}  {summary}", signal.name(), doc.kernel)?;
    }
    writeln!(out, "\n`pingraph signals NAME` shows parameters, defaults and formula.")
}

fn describe(signal: &dyn Signal, out: &mut dyn Write) -> std::io::Result<()> {
    let doc = signal.doc();
    writeln!(out, "{} (kernel {})\n", signal.name(), doc.kernel)?;
    writeln!(out, "  {}\n", wrapped(doc.summary, 2))?;
    writeln!(out, "formula\n  {}\n", wrapped(doc.formula, 2))?;
    writeln!(out, "reference\n  {}\n", wrapped(doc.reference, 2))?;
    writeln!(out, "parameters")?;
    for param in &doc.params {
        let default = match param.default.as_str() {
            "" => "no default".to_owned(),
            default => format!("default {default}"),
        };
        writeln!(out, "  {} ({default})", param.name)?;
        writeln!(out, "      {}", wrapped(param.doc, 6))?;
    }
    if doc.params.is_empty() {
        writeln!(out, "  none")?;
    }
    writeln!(out, "\nin a job file\n  [features.NAME.{}]", signal.name())?;
    for param in doc.params.iter().filter(|param| !param.default.is_empty()) {
        writeln!(out, "  {} = {}", param.name, param.default)?;
    }
    Ok(())
}

/// `text` in lines of at most [`WIDTH`] columns, those after the first indented by `indent`.
fn wrapped(text: &str, indent: usize) -> String {
    let room = WIDTH.saturating_sub(indent).max(20);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(name: Option<&str>) -> Result<String> {
        let mut out = Vec::new();
        run(&SignalsArgs { name: name.map(str::to_owned) }, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_list_names_every_signal_in_lines_that_fit() {
        let text = printed(None).unwrap();
        for signal in Registry::default().iter() {
            assert!(text.lines().any(|line| line.starts_with(signal.name())), "{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn one_signal_shows_its_parameters_and_a_snippet_that_configures() {
        for signal in Registry::default().iter() {
            let text = printed(Some(signal.name())).unwrap();
            for param in signal.doc().params {
                assert!(text.contains(&format!("  {} (", param.name)), "{text}");
            }
            let (_, snippet) =
                text.split_once(".SIGNAL]").or(text.split_once("[features.")).unwrap();
            let (_, params) = snippet.split_once('\n').unwrap_or((snippet, ""));
            let params: toml::Table = params.parse().unwrap();
            assert!(signal.configure("name", params).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_unknown_signal_gets_a_suggestion() {
        let error = printed(Some("page_rank")).unwrap_err();
        assert_eq!(error.to_string(), "unknown signal \"page_rank\"; did you mean \"pagerank\"?");
    }
}

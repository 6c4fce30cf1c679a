//! How many system calls a message takes, as `strace` counts them. It makes each of them slow, and so makes more messages
//! come together than without it.

use super::isolation::Cores;
use super::load;
use super::report::Run;
use super::servers::{Programs, Server};
use super::workloads::{Task, Workload};
use crate::Outcome;
use crate::process::Process;
use std::process::Command;

/// Calls that are fewer than one in so many messages are not told of.
const RARE: f64 = 1000.0;

/// Prints a table of the system calls that each server makes for a message of each workload.
pub(super) fn count<'a>(
    programs: &Programs,
    workloads: impl Iterator<Item = &'a Workload>,
    servers: &[&Server],
    pace: Run,
) -> Outcome {
    let cores = Cores::apart()?;
    println!("| workload | server | messages | calls a message |");
    println!("| --- | --- | --- | --- |");
    // An idle connection has no messages.
    for workload in workloads.filter(|workload| workload.task != Task::Idle) {
        for server in servers.iter().filter(|server| programs.can(server, workload.task)) {
            let (messages, calls) = trace(programs, server, workload, &cores, pace)?;
            let often = calls.iter().map(|(name, count)| (name, count / messages));
            let told = often.filter(|(_, count)| count * RARE >= 1.0);
            let told: Vec<String> = told.map(|(name, count)| format!("{name} {count:.3}")).collect();
            println!("| {} | {} | {messages} | {} |", workload.title, server.name, told.join(", "));
        }
    }
    Ok(())
}

/// The messages that there were, and the server's system calls, the most frequent first.
fn trace(
    programs: &Programs,
    server: &Server,
    workload: &Workload,
    cores: &Cores,
    pace: Run,
) -> Outcome<(f64, Vec<(String, f64)>)> {
    let running = programs.start(server, workload.task, 1, &cores.server)?;
    let summary = programs.logs.join("strace.log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o"]).arg(&summary).args(["-p", &running.id().to_string()]);
    let mut strace = Process::start(&mut strace)?;
    strace.find_in_lines(|line| line.contains("attached").then_some(()))?;
    let seen = load(programs, server, &running, workload, cores, pace)?;
    // It ends, and writes its summary, when there is nothing left to trace.
    drop(running);
    strace.wait_for_end()?;
    let messages = seen["messages_in_all"].as_f64().ok_or("the load counts no messages")?;
    let mut calls: Vec<_> = std::fs::read_to_string(summary)?.lines().filter_map(call).collect();
    calls.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok((messages, calls))
}

/// The name and the count in a line of the summary: `% time, seconds, usecs/call, calls, errors, syscall`.
fn call(line: &str) -> Option<(String, f64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, count) = (words.last()?, words.get(3)?.parse().ok()?);
    (*name != "total").then(|| ((*name).to_owned(), count))
}

#[cfg(test)]
mod tests {
    use super::call;

    #[test]
    fn calls_are_read() {
        for (line, expect) in [
            (" 21.79    0.088863           7     11356           sendto", Some(("sendto", 11356.0))),
            ("  9.97    0.040665           3     11383        27 recvfrom", Some(("recvfrom", 11383.0))),
            ("% time     seconds  usecs/call     calls    errors syscall", None),
            ("------ ----------- ----------- --------- --------- ----------------", None),
            ("100.00    0.000119           5        22           total", None),
        ] {
            assert_eq!(call(line), expect.map(|(name, count)| (name.to_owned(), count)), "{line}");
        }
    }
}

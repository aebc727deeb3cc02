//! The runner's side of the agents: one process a host, spoken to over a socket pair.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::protocol::{Line, Order, Reply, Silence};
use crate::error::{Error, Result};
use crate::lan::{Lan, too_few_processes};
use crate::sys::{cpu, netns};

/// How long an agent may take for an order that is not sending.
const PATIENCE: Duration = Duration::from_secs(10);

/// The agents of a LAN, in the order of its hosts, the router's last. Dropping it ends them.
pub struct Agents {
    agents: Vec<Agent>,
}

struct Agent {
    name: String,
    child: Child,
    line: Line,
    proc_pid: Option<u32>,
    lost: Option<String>,
}

/// An answer an agent may give late: see [`Agents::poll`].
#[derive(Debug)]
pub enum Answer {
    /// It has answered.
    Reply(Reply),
    /// Not yet.
    Pending,
    /// It will not: the host is lost.
    Lost,
}

impl Agents {
    /// Starts an agent in each host of `lan`, and in its router, and waits until all of them answer.
    ///
    /// # Errors
    /// When a process cannot be started or does not answer.
    pub fn start(lan: &Lan) -> Result<Agents> {
        let of_hosts = lan.hosts().iter().map(|host| Agent::spawn(&host.name, &host.name, &host.netns));
        let of_router =
            lan.router().map(|router| Agent::spawn(&router.name, &router.interfaces().join(","), &router.netns));
        let mut agents = Agents { agents: of_hosts.chain(of_router).collect::<Result<_>>()? };
        for index in 0..agents.agents.len() {
            match agents.wait(index, Instant::now() + PATIENCE) {
                Some(Reply::Ready { proc_pid }) => agents.agents[index].proc_pid = Some(proc_pid),
                other => {
                    let agent = &agents.agents[index];
                    let why = agent.lost.clone().unwrap_or_else(|| format!("it said {other:?}"));
                    return Err(Error::failed(format!("the agent of {} did not start: {why}", agent.name)));
                }
            }
        }
        Ok(agents)
    }

    /// How many there are: one more than hosts where there is a router.
    pub fn count(&self) -> usize {
        self.agents.len()
    }

    /// The name of a host, or of the router.
    pub fn name(&self, host: usize) -> &str {
        &self.agents[host].name
    }

    /// CPU time of a host's agent so far, all its threads, in ns; `None` for a lost host.
    pub fn cpu_ns(&self, host: usize) -> Option<u64> {
        let agent = &self.agents[host];
        if agent.lost.is_some() { None } else { cpu::process_cpu_ns_of(agent.child.id()) }
    }

    /// The process IDs of the agents as `/proc` names them.
    pub fn proc_pids(&self) -> impl Iterator<Item = u32> {
        self.agents.iter().filter_map(|agent| agent.proc_pid)
    }

    /// Why a host is lost; `None` while it is not.
    pub fn lost(&self, host: usize) -> Option<&str> {
        self.agents[host].lost.as_deref()
    }

    /// The names of the hosts that are lost, each with why.
    pub fn lost_hosts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.agents.iter().filter_map(|agent| Some((agent.name.as_str(), agent.lost.as_deref()?)))
    }

    /// Gives every host that is not lost its order and gathers the replies; `None` where there is no order or the
    /// host is lost.
    pub fn all(&mut self, order: impl Fn(usize) -> Option<Order>) -> Vec<Option<Reply>> {
        let asked: Vec<bool> =
            (0..self.agents.len()).map(|host| order(host).is_some_and(|order| self.tell(host, &order))).collect();
        let deadline = Instant::now() + PATIENCE;
        asked
            .into_iter()
            .enumerate()
            .map(|(host, asked)| if asked { self.wait(host, deadline) } else { None })
            .collect()
    }

    /// Gives one host an order; false when the host is lost.
    pub fn tell(&mut self, host: usize, order: &Order) -> bool {
        let agent = &mut self.agents[host];
        if agent.lost.is_none()
            && let Err(error) = agent.line.send(order)
        {
            agent.lose(error.to_string());
        }
        agent.lost.is_none()
    }

    /// Looks for a host's answer for `patience`.
    pub fn poll(&mut self, host: usize, patience: Duration) -> Answer {
        let agent = &mut self.agents[host];
        if agent.lost.is_some() {
            return Answer::Lost;
        }
        match agent.line.receive(Some(patience)) {
            Ok(reply) => Answer::Reply(reply),
            Err(Silence::TimedOut) => Answer::Pending,
            Err(Silence::Gone(why)) => {
                agent.lose(why);
                Answer::Lost
            }
        }
    }

    /// Gives a host up: it takes no further part.
    pub fn give_up(&mut self, host: usize, why: &str) {
        self.agents[host].lose(why.to_owned());
    }

    fn wait(&mut self, host: usize, deadline: Instant) -> Option<Reply> {
        match self.poll(host, deadline.saturating_duration_since(Instant::now())) {
            Answer::Reply(reply) => Some(reply),
            Answer::Lost => None,
            Answer::Pending => {
                self.give_up(host, "it did not answer in time");
                None
            }
        }
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            // Already ended is as good.
            let _ = agent.child.kill();
        }
        for agent in &mut self.agents {
            let _ = agent.child.wait();
        }
    }
}

impl Agent {
    fn spawn(name: &str, interfaces: &str, netns: &OwnedFd) -> Result<Agent> {
        let failed = |e: std::io::Error| match e.kind() {
            ErrorKind::WouldBlock => too_few_processes(&format!("starting the agent of {name}: {e}")),
            _ => Error::failed(format!("starting the agent of {name}")).because(e),
        };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        // This very program, even if its file has been replaced since.
        let mut command = Command::new("/proc/self/exe");
        command.args(["agent", "--interface", interfaces]).stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        // Ctrl-C on the terminal is for the runner alone.
        command.process_group(0);
        let child = netns::spawn_in(&mut command, netns).map_err(failed)?;
        Ok(Agent { name: name.to_owned(), child, line: Line::new(ours), proc_pid: None, lost: None })
    }

    fn lose(&mut self, why: String) {
        // Whatever it was doing, it must not go on doing it.
        let _ = self.child.kill();
        let why = match self.child.wait() {
            Ok(status) => format!("{why} ({status})"),
            Err(_) => why,
        };
        self.lost.get_or_insert(why);
    }
}

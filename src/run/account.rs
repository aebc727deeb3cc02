//! From what was read before and after a trial to rows, marks and the closure of CPU time. Pure but for names.

use std::time::Duration;

use super::bench::{Bench, Look};
use super::condition::Condition;
use super::facts::Facts;
use super::mark::{self, Mark};
use super::plan::Trial;
use super::presence::Left;
use super::protocol::Collected;
use super::serve::ServeReport;
use crate::counters::HostCounters;
use crate::counters::cpu::{CpuClosure, CpuComponents, MachineUse};
use crate::counters::link::LinkCounters;
use crate::delivery::receiver::ReceiveReport;
use crate::delivery::sender::SendReport;
use crate::delivery::tally::StreamReport;
use crate::lan::NapiThread;
use crate::results::row::{HostRow, SampleRow};
use crate::units::{Rate, Role};

/// Everything one trial brought.
#[derive(Clone, Debug)]
pub struct TrialFigures {
    /// What the sender did.
    pub sent: SendReport,
    /// What the flow's sender did; `None` without a flow, or when that host is lost.
    pub flow_sent: Option<SendReport>,
    /// Ports and clocks before the first message.
    pub before: Look,
    /// The same when the LAN had fallen still again.
    pub after: Look,
    /// The same in between, by time since the start of the window.
    pub samples: Vec<(Duration, Look)>,
    /// By host: its agent's part; `None` for a lost host.
    pub collected: Vec<Option<Collected>>,
    /// The hosts that are lost, by name.
    pub lost: Vec<String>,
    /// What the machine as a whole did meanwhile.
    pub machine: MachineUse,
    /// Whether the LAN fell still in time.
    pub drained: bool,
    /// The run and the stream of the measured messages.
    pub stream: (u32, u16),
    /// The same of the flow's.
    pub flow: (u32, u16),
    /// How long the server took to answer the sender, in ns, ascending; none without a server.
    pub answers_ns: Vec<u64>,
}

impl TrialFigures {
    /// What speaks against using this trial.
    ///
    /// `slowdown` is how many times as long as usual a fixed piece of work took around it.
    pub fn marks(&self, condition: &Condition, napi: &[NapiThread], slowdown: f64) -> Vec<Mark> {
        let mut marks: Vec<Mark> = self.lost.iter().map(|host| Mark::HostLost { host: host.clone() }).collect();
        let over = |share: Option<f64>, tolerated: f64| share.filter(|&share| share > tolerated);
        let traffic = &condition.traffic;
        // At `max` neither a schedule nor a loss-free load was asked for.
        if let Some(asked) = traffic.messages_per_second() {
            let held = self.held_rate();
            let held_up = condition.loss_expected && condition.mode.has_server();
            if held < asked * (1.0 - mark::TOLERATED_LAG) && !held_up {
                marks.push(Mark::BehindSchedule { held });
            }
        }
        if traffic.rate != Rate::Max && !condition.loss_expected {
            let far = self.collected.iter().flatten().filter_map(|collected| collected.delayed);
            let frames = self.ring_dropped().into_iter().flatten().chain(far.map(|delay| delay.dropped)).sum();
            if frames > 0 {
                marks.push(Mark::RingOverflow { frames });
            }
            let dropped = |host| self.received_by(host)?.socket_dropped;
            let messages = condition.with_role(Role::Receiver).filter_map(dropped).sum();
            if messages > 0 {
                marks.push(Mark::SocketBufferOverflow { messages });
            }
        }
        if !self.drained {
            marks.push(Mark::NotDrained);
        }
        let cpu = self.cpu(napi);
        let mut closure = CpuClosure::default();
        closure.add(&cpu, &self.machine);
        marks.extend(closure.sure_ratio().filter(|ratio| !mark::TOLERATED_CLOSURE.contains(ratio)).map(Mark::Closure));
        let share = self.machine.foreign_share().unwrap_or(0.0);
        marks.extend(
            over(self.machine.foreign_beside(cpu.attributed_ns()), mark::TOLERATED_FOREIGN)
                .map(|beside| Mark::ForeignLoad { beside, share }),
        );
        marks.extend(over(Some(slowdown), mark::TOLERATED_SLOWDOWN).map(Mark::Slowdown));
        marks.extend(over(self.machine.steal_share(), mark::TOLERATED_STEAL).map(Mark::Steal));
        marks
    }
}

impl TrialFigures {
    /// Messages a second as they were sent; 0 when nothing was.
    pub fn held_rate(&self) -> f64 {
        if self.sent.duration_ns == 0 {
            0.0
        } else {
            self.sent.messages_sent as f64 * 1e9 / self.sent.duration_ns as f64
        }
    }

    /// Whether the sender held its rate and every receiver that wants all messages got them.
    pub fn is_sustained(&self, condition: &Condition) -> bool {
        let asked = condition.traffic.messages_per_second().unwrap_or(0.0);
        let received_all = condition.receivers_of_all().all(|host| {
            let stream = self.received_by(host).and_then(|receive| stream_of(receive, self.stream));
            stream.is_some_and(|stream| stream.messages_received == self.sent.messages_sent)
        });
        self.held_rate() >= asked * (1.0 - mark::TOLERATED_LAG) && received_all
    }

    /// CPU time of the parts of the run; nothing where that of a host, or the kernel's share, is not known.
    pub fn cpu(&self, napi: &[NapiThread]) -> CpuComponents {
        let app = |hosts: std::ops::Range<usize>| {
            hosts.map(|host| difference(self.after.agents_ns[host], self.before.agents_ns[host])).sum::<Option<u64>>()
        };
        let hosts_kernel_rx = self.napi_ns(napi, |thread| !thread.is_port);
        let (sender_app, hosts_app) = (app(0..1), app(1..self.after.agents_ns.len()));
        if hosts_kernel_rx.and(sender_app).and(hosts_app).is_none() {
            return CpuComponents::default();
        }
        CpuComponents {
            sender_app,
            hosts_app,
            hosts_kernel_rx,
            switch: self.napi_ns(napi, |thread| thread.is_port),
            runner: self.machine.runner_ns,
            helpers: self.machine.helpers_ns,
        }
    }

    /// The rows of this trial in `hosts.csv`: one a host, then the switch.
    pub fn host_rows(
        &self,
        bench: &Bench,
        condition: &Condition,
        run_id: &str,
        trial: Trial,
        marks: &[Mark],
    ) -> Vec<HostRow> {
        let reason = marks.iter().map(Mark::to_string).collect::<Vec<_>>().join("; ");
        let common = |host: &str, role| HostRow {
            valid: marks.is_empty(),
            counts_valid: !marks.iter().any(Mark::spoils_counts),
            invalid_reason: reason.clone(),
            duration_s: Some(self.sent.duration_ns as f64 / 1e9),
            size_bytes: Some(condition.traffic.size as u64),
            offered_rate: condition.traffic.messages_per_second(),
            cpu_method: bench.cpu_method().to_owned(),
            ..HostRow::new(run_id, &condition.name, condition.mode, trial.number, host, role)
        };
        let rings = self.ring_dropped();
        let mut rows: Vec<_> = (0..bench.agents.count())
            .map(|index| {
                let role = condition.role(index);
                let mut row = common(bench.agents.name(index), role);
                if let Some(group) = condition.group_of(index) {
                    (row.group, row.lan) = (group.name.clone(), group.lan as u32);
                }
                let Some(collected) = &self.collected[index] else { return row };
                let mut row = with_counters(row, collected, &bench.facts);
                row.link_ring_dropped = rings[index];
                row.cpu_app_ns = difference(self.after.agents_ns[index], self.before.agents_ns[index]);
                row.cpu_kernel_rx_ns = self.napi_ns(&bench.napi, |thread| thread.host == index && !thread.is_port);
                row.cpu_total_ns = row.cpu_app_ns.zip(row.cpu_kernel_rx_ns).map(|(app, kernel)| app + kernel);
                row.nic_filtered = difference(self.after.nic_filtered[index], self.before.nic_filtered[index]);
                row.link_limit_dropped = difference(self.after.limit_dropped[index], self.before.limit_dropped[index]);
                row.work_per_s = collected.work.and_then(|work| work.per_second());
                (row.flow_sent, row.flow_received) = self.flow_at(condition, index);
                match role {
                    Role::Sender => self.with_sent(condition, row),
                    Role::Server => with_served(collected.serve.as_ref(), row),
                    Role::Receiver => self.with_received(condition, index, row),
                    Role::Bystander | Role::Switch | Role::Router => row,
                }
            })
            .collect();
        let kernel = self.napi_ns(&bench.napi, |thread| thread.is_port);
        let (sent, received) = (self.port_sum(|p| p.tx_frames), self.port_sum(|p| p.rx_frames));
        rows.push(HostRow {
            link_tx_frames: sent,
            link_tx_bytes: with_header(self.port_sum(|p| p.tx_bytes), sent, bench.facts.rx_header_bytes_added),
            link_tx_dropped: self.port_sum(|p| p.tx_dropped),
            link_rx_frames: received,
            link_rx_bytes: with_header(self.port_sum(|p| p.rx_bytes), received, bench.facts.tx_header_bytes_added),
            link_rx_dropped: self.port_sum(|p| p.rx_dropped),
            cpu_kernel_rx_ns: kernel,
            cpu_total_ns: kernel,
            ..common("switch", Role::Switch)
        });
        rows
    }

    /// The rows of this trial in `samples.csv`.
    pub fn sample_rows(&self, bench: &Bench, condition: &Condition, run_id: &str, trial: Trial) -> Vec<SampleRow> {
        let mut rows = Vec::new();
        let mut last = (Duration::ZERO, &self.before);
        for (time, look) in self.samples.iter().map(|(time, look)| (*time, look)) {
            for index in 0..bench.agents.count() {
                let port = look.ports[index].since(&last.1.ports[index]);
                let own = |thread: &NapiThread| thread.host == index && !thread.is_port;
                rows.push(SampleRow {
                    run_id: run_id.to_owned(),
                    condition: condition.name.clone(),
                    mode: condition.mode,
                    trial: trial.number,
                    host: bench.agents.name(index).to_owned(),
                    role: condition.role(index),
                    time_s: time.as_secs_f64(),
                    interval_s: (time - last.0).as_secs_f64(),
                    // What the switch's port received, the host sent.
                    link_tx_frames: port.rx_frames,
                    link_rx_frames: port.tx_frames,
                    cpu_kernel_rx_ns: napi_sum(&bench.napi, last.1, look, own),
                    cpu_app_ns: difference(look.agents_ns[index], last.1.agents_ns[index]),
                });
            }
            last = (time, look);
        }
        rows
    }

    /// By host: frames its receive ring had no room for.
    fn ring_dropped(&self) -> Vec<Option<u64>> {
        let ports = self.after.ports.iter().zip(&self.before.ports);
        ports.map(|(after, before)| after.since(before).tx_dropped).collect()
    }

    fn port_sum(&self, counter: impl Fn(&LinkCounters) -> Option<u64>) -> Option<u64> {
        let ports = self.after.ports.iter().zip(&self.before.ports);
        ports.map(|(after, before)| counter(&after.since(before))).sum()
    }

    fn napi_ns(&self, napi: &[NapiThread], which: impl Fn(&NapiThread) -> bool) -> Option<u64> {
        napi_sum(napi, &self.before, &self.after, which)
    }

    /// What arrived at a host; `None` for one that does not receive, or is lost.
    fn received_by(&self, host: usize) -> Option<&ReceiveReport> {
        self.collected.get(host)?.as_ref()?.receive.as_ref()
    }

    fn with_sent(&self, condition: &Condition, row: HostRow) -> HostRow {
        let traces = condition.receivers_of_all().map(|host| {
            let stream = stream_of(self.received_by(host)?, self.stream);
            Some(stream.map_or(&[][..], |stream| stream.trace_ns.as_slice()))
        });
        let skews = skews(&traces.collect::<Option<Vec<_>>>().unwrap_or_default());
        let traffic = &condition.traffic;
        HostRow {
            messages_sent: Some(self.sent.messages_sent),
            copies_sent: Some(self.sent.copies_sent),
            lateness_p99_ns: self.sent.lateness_p99_ns,
            cpu_send_ns: self.sent.cpu_send_ns,
            cpu_wake_ns: difference(row.cpu_app_ns, self.sent.cpu_send_ns),
            wake_ups: traffic.rate.per_second().map(|_| self.sent.messages_sent.div_ceil(traffic.burst.max(1).into())),
            machine_busy_ns: self.machine.own_ns(),
            request_p50_ns: percentile(&self.answers_ns, 0.50),
            skew_p50_ns: percentile(&skews, 0.50),
            skew_p99_ns: percentile(&skews, 0.99),
            ..row
        }
    }

    fn with_received(&self, condition: &Condition, host: usize, row: HostRow) -> HostRow {
        let Some(receive) = self.received_by(host) else { return row };
        let none = StreamReport::default();
        let stream = stream_of(receive, self.stream).unwrap_or(&none);
        let lost = self.sent.messages_sent.saturating_sub(stream.messages_received);
        let presence = self.collected[host].as_ref().and_then(|collected| collected.presence);
        let started_ns = self.sent.started_ns;
        let last_ns = (stream.messages_received > 0).then(|| stream.last_arrival_ns.saturating_sub(started_ns));
        HostRow {
            messages_received: Some(stream.messages_received),
            messages_lost: condition.presence(host).is_whole().then_some(lost),
            messages_duplicate: Some(stream.messages_duplicate),
            messages_reordered: Some(stream.messages_reordered),
            messages_unrecognized: Some(receive.messages_unrecognized),
            latency_p50_ns: stream.latency.map(|l| l.p50_ns),
            latency_p99_ns: stream.latency.map(|l| l.p99_ns),
            latency_max_ns: stream.latency.map(|l| l.max_ns),
            kernel_latency_p50_ns: stream.kernel_latency.map(|l| l.p50_ns),
            kernel_latency_p99_ns: stream.kernel_latency.map(|l| l.p99_ns),
            jitter_ns: stream.jitter_ns,
            socket_dropped: receive.socket_dropped,
            join_delay_ns: presence.and_then(|presence| {
                let first_ns = (stream.messages_received > 0).then_some(stream.first_arrival_ns);
                first_ns?.checked_sub(presence.joined_ns?)
            }),
            leave_delay_ns: presence.and_then(|presence| self.leave_delay_ns(&presence.left?)),
            last_received_s: last_ns.map(|ns| ns as f64 / 1e9),
            ..row
        }
    }

    /// From leaving to the last frame of the group. `None` when frames came to the end, so that nobody knows how long they
    /// would have gone on, or when some were missed.
    fn leave_delay_ns(&self, left: &Left) -> Option<u64> {
        let Some(last_ns) = left.last_frame_ns else { return left.complete.then_some(0) };
        let period_ns = self.sent.duration_ns / self.sent.messages_sent.max(1);
        let end_ns = self.sent.started_ns + self.sent.duration_ns;
        let went_on = last_ns + 2 * period_ns > end_ns;
        (left.complete && !went_on).then(|| last_ns.saturating_sub(left.at_ns))
    }

    /// What a host sent, and received, of the flow.
    fn flow_at(&self, condition: &Condition, host: usize) -> (Option<u64>, Option<u64>) {
        let Some((from, to)) = condition.flow_hosts() else { return (None, None) };
        let sent = self.flow_sent.as_ref().filter(|_| host == from).map(|sent| sent.messages_sent);
        let wants = match to {
            Some(to) => host == to,
            None => condition.role(host) == Role::Receiver,
        };
        let received = self.received_by(host).filter(|_| wants);
        (sent, received.map(|receive| stream_of(receive, self.flow).map_or(0, |stream| stream.messages_received)))
    }
}

fn with_served(serve: Option<&ServeReport>, row: HostRow) -> HostRow {
    let Some(serve) = serve else { return row };
    HostRow {
        server_accepts: Some(serve.accepts),
        server_clients: Some(serve.clients),
        server_threads: serve.threads,
        server_dropped: serve.dropped,
        server_accept_cpu_ns: serve.accept_cpu_ns,
        cpu_send_ns: serve.cpu_send_ns,
        cpu_wake_ns: difference(row.cpu_app_ns, serve.cpu_send_ns),
        ..row
    }
}

/// A stream as a receiver saw it.
fn stream_of(receive: &ReceiveReport, (run_id, stream_id): (u32, u16)) -> Option<&StreamReport> {
    receive.streams.iter().find(|stream| (stream.run_id, stream.stream_id) == (run_id.into(), stream_id))
}

fn with_counters(row: HostRow, collected: &Collected, facts: &Facts) -> HostRow {
    let HostCounters { link, ip, udp, tcp } = collected.counters;

    HostRow {
        link_tx_frames: link.tx_frames,
        link_tx_bytes: with_header(link.tx_bytes, link.tx_frames, facts.tx_header_bytes_added),
        link_tx_dropped: link.tx_dropped,
        link_rx_frames: link.rx_frames,
        link_rx_bytes: with_header(link.rx_bytes, link.rx_frames, facts.rx_header_bytes_added),
        link_rx_dropped: link.rx_dropped,
        link_rx_other_host: link.rx_other_host,
        ip_in_receives: ip.in_receives,
        ip_in_delivers: ip.in_delivers,
        ip_in_mcast: ip.in_mcast,
        ip_in_bcast: ip.in_bcast,
        ip_in_discards: ip.in_discards,
        ip_not_joined: ip.not_joined,
        udp_in_datagrams: udp.in_datagrams,
        udp_no_ports: udp.no_ports,
        udp_rcvbuf_errors: udp.rcvbuf_errors,
        udp_ignored_multi: udp.ignored_multi,
        udp_in_errors: udp.in_errors,
        tcp_in_segs: tcp.in_segs,
        tcp_out_segs: tcp.out_segs,
        tcp_retrans_segs: tcp.retrans_segs,
        tcp_active_opens: tcp.active_opens,
        tcp_passive_opens: tcp.passive_opens,
        ..row
    }
}

/// For each message that all of two or more receivers got: the time between the first and the last of them, ascending. `traces` holds
/// a receiver's latencies by message, 0 where one did not arrive.
fn skews(traces: &[&[u32]]) -> Vec<u64> {
    let messages = if traces.len() < 2 { 0 } else { traces.iter().map(|trace| trace.len()).min().unwrap_or(0) };
    let skew = |message| {
        let (mut first, mut last) = (u32::MAX, 0);
        for trace in traces {
            let latency: u32 = trace[message];
            if latency == 0 {
                return None;
            }
            (first, last) = (first.min(latency), last.max(latency));
        }
        Some(u64::from(last - first))
    };
    let mut skews: Vec<u64> = (0..messages).filter_map(skew).collect();
    skews.sort_unstable();
    skews
}

/// The value that a share of `sorted` does not exceed (nearest rank); `None` of nothing.
fn percentile(sorted: &[u64], share: f64) -> Option<u64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// Bytes with the Ethernet header, which some links' counters leave out; `None` while it is not known whether.
fn with_header(bytes: Option<u64>, frames: Option<u64>, missing: Option<u64>) -> Option<u64> {
    Some(bytes? + frames? * missing?)
}

/// Growth; `None` where either is unknown.
fn difference(after: Option<u64>, before: Option<u64>) -> Option<u64> {
    after?.checked_sub(before?)
}

/// CPU time of some of the receive threads between two looks; `None` where one of them is unknown, or there is none.
fn napi_sum(napi: &[NapiThread], before: &Look, after: &Look, which: impl Fn(&NapiThread) -> bool) -> Option<u64> {
    let mut sum = None;
    for (index, thread) in napi.iter().enumerate() {
        if which(thread) {
            sum = Some(sum.unwrap_or(0) + difference(after.napi_ns[index], before.napi_ns[index])?);
        }
    }
    sum
}

/// Names the messages of one trial: different for every trial and, by the seed, for every run.
pub fn trial_run_id(seed: u64, done: usize) -> u32 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(done as u64 + 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_between_the_first_and_the_last_receiver() {
        assert_eq!(skews(&[&[10, 20, 0, 7], &[15, 19, 5, 7], &[12, 40, 6, 7, 9]]), [0, 5, 21]);
        assert!(skews(&[&[10, 20]]).is_empty(), "one receiver is both");
        assert!(skews(&[]).is_empty());
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[3], 0.99), Some(3));
        assert_eq!(percentile(&[1, 2, 3, 4], 0.5), Some(2));
        assert_eq!(percentile(&(1..=100).collect::<Vec<_>>(), 0.99), Some(99));
    }

    #[test]
    fn bytes_are_known_only_with_their_header() {
        assert_eq!(with_header(Some(1000), Some(10), Some(14)), Some(1140));
        assert_eq!(with_header(Some(1000), Some(10), None), None);
    }
}

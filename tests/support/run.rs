//! Result folders with known figures, as a run of a virtual LAN would leave them: frames by the arithmetic of the mode,
//! CPU time from a price list, times that scatter the same way every time.

#![allow(dead_code, unreachable_pub, reason = "each test file has it as a module of its own, and uses a part of it")]

use std::path::Path;

use netlab::results::metadata::{Calibration, RunMetadata, Status, Warning};
use netlab::results::row::{ClaimRow, ConditionRow, HostRow, PredictionRow, SampleRow};
use netlab::results::store::Store;
use netlab::results::summary::summarize;
use netlab::units::{Mode, Role};
use serde_json::json;

/// Messages of a trial.
pub const MESSAGES: u64 = 1000;
/// Length of a trial's window, in s.
pub const WINDOW_S: f64 = 2.0;

/// A setting to be measured.
#[derive(Clone, Debug)]
pub struct Setting {
    pub case: String,
    pub hosts: usize,
    pub receivers: usize,
    pub modes: Vec<Mode>,
    /// `snooping`, `flooding` or `hub`.
    pub switch: &'static str,
    /// Whether each host's card drops frames for others.
    pub card_filters: bool,
    /// Hosts of these that are on a second LAN, behind a router; the last ones.
    pub beyond_router: usize,
    pub rate: Option<f64>,
    pub trials: u32,
    /// From this part of the window on, receivers get nothing.
    pub silent_from: Option<f64>,
}

impl Setting {
    /// All modes of the network on a snooping switch, at 500 messages/s.
    pub fn new(hosts: usize, receivers: usize, trials: u32) -> Setting {
        Setting {
            case: String::new(),
            hosts,
            receivers,
            modes: Mode::OF_THE_NETWORK.to_vec(),
            switch: "snooping",
            card_filters: false,
            beyond_router: 0,
            rate: Some(500.0),
            trials,
            silent_from: None,
        }
    }

    /// The same by all modes; by those through a server, the last host is that server.
    pub fn served(hosts: usize, receivers: usize, trials: u32) -> Setting {
        Setting { modes: Mode::ALL.to_vec(), ..Setting::new(hosts, receivers, trials) }
    }

    fn bystanders(&self, mode: Mode) -> usize {
        self.hosts - 1 - self.receivers - usize::from(mode.has_server())
    }

    fn role(&self, mode: Mode, host: usize) -> Role {
        match host {
            1 => Role::Sender,
            host if host <= 1 + self.receivers => Role::Receiver,
            host if host == self.hosts && mode.has_server() => Role::Server,
            _ => Role::Bystander,
        }
    }

    fn lan(&self, host: usize) -> u32 {
        if host > self.hosts - self.beyond_router { 2 } else { 1 }
    }

    fn label(&self) -> String {
        format!(
            "1 sender · {} receivers · {} bystanders · {} messages/s · 64 B · {} repeats · {}",
            self.receivers,
            self.bystanders(Mode::Unicast),
            self.rate.map_or("max".to_owned(), |rate| rate.to_string()),
            self.trials,
            self.switch
        )
    }
}

/// A run to be written.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub settings: Vec<Setting>,
    /// The lab's title.
    pub title: Option<String>,
    pub claims: Vec<ClaimRow>,
    pub predictions: Vec<PredictionRow>,
    /// Whether there is to be a `conditions.csv`, as there was none in older runs.
    pub without_conditions: bool,
    /// Whether there is to be a `run.json`.
    pub without_metadata: bool,
}

impl Run {
    /// Writes the result folder.
    pub fn write(&self, dir: &Path) {
        let store = Store::create(Some(dir), "1f").unwrap();
        let mut all = Vec::new();
        let mut conditions = Vec::new();
        for (index, setting) in self.settings.iter().enumerate() {
            for &mode in &setting.modes {
                let name = format!("{mode}-{}-{}", setting.receivers, index + 1);
                conditions.push(condition(setting, mode, &name, index as u32 + 1));
                for trial in 1..=setting.trials {
                    let rows = trial_of(setting, mode, &name, trial);
                    store.append_hosts(&rows).unwrap();
                    store.append_samples(&samples_of(setting, &rows)).unwrap();
                    all.extend(rows);
                }
            }
        }
        store.write(&summarize(&all)).unwrap();
        if !self.without_conditions {
            store.write(&conditions).unwrap();
        }
        if !self.claims.is_empty() {
            store.write(&self.claims).unwrap();
        }
        if !self.predictions.is_empty() {
            store.write(&self.predictions).unwrap();
        }
        if !self.without_metadata {
            let mut metadata =
                RunMetadata::start("1f", 7, ["netlab", "lab", "run", "who pays"].map(str::to_owned).into());
            metadata.plan = json!({"lab": {"title": self.title}, "switch": "snooping"});
            metadata.environment = json!({"cpu_model": "Test CPU", "cpus_online": 2, "scaling_governor": null});
            metadata.calibration =
                Some(Calibration { window_s: 0.8, rate: 2000.0, plain_busy_s: 0.14, threaded_busy_s: 0.27 });
            metadata.warn(Warning::ForeignLoad { condition: "unicast-4-1".to_owned(), trials: 1 });
            metadata.end(Status::Complete);
            store.write_metadata(&metadata).unwrap();
        }
    }
}

/// Claims with each verdict there is.
pub fn claims() -> Vec<ClaimRow> {
    let claim = |claim,
                 statement: &str,
                 says: &str,
                 (expect, verdict, as_expected): (&str, &str, bool),
                 figures: &str,
                 remark: &str| ClaimRow {
        claim,
        statement: statement.to_owned(),
        says: says.to_owned(),
        judged: "frames of each bystander, in all settings: at least 0.99 for each message".to_owned(),
        expect: expect.to_owned(),
        verdict: verdict.to_owned(),
        as_expected,
        figures: figures.to_owned(),
        remark: remark.to_owned(),
        lecture: netlab::lab::statement::sentences(statement),
        more_trials: None,
    };
    vec![
        claim(
            1,
            "L1",
            "Broadcast is one to all: every host of the LAN gets each frame.",
            ("holds", "holds", true),
            "1.00 frames per message at each of 16 bystanders",
            "",
        ),
        claim(
            2,
            "L6",
            "Unicast does not lower the CPU performance of other PCs.",
            ("holds", "holds-only-on", true),
            "0.00 µs on a switch, 10.4 µs on a hub",
            "Holds only on a switch, or on a hub with cards that filter.",
        ),
        claim(
            3,
            "L4",
            "Every CPU that gets the frame processes it.",
            ("holds", "does-not-hold", false),
            "0.00 of 1.00 frames",
            "",
        ),
        claim(
            4,
            "L3",
            "Broadcast is less traffic than unicast however few want it.",
            ("fails", "does-not-hold", true),
            "21.0 against 8.00 frames",
            "",
        ),
        claim(
            5,
            "L7 L8",
            "Of 200 users 150 receive, and the other 50 are not affected.",
            ("holds", "undecided", false),
            "0.12 µs, 95 % interval 0.00 to 0.31 µs",
            "About 12 more repeats would decide it.",
        ),
        claim(
            6,
            "L12",
            "An IPv6 group is not a broadcast.",
            ("holds", "cannot-be-shown", true),
            "",
            "This kernel has no IPv6.",
        ),
    ]
}

/// Guesses of each kind: too high, right, none made, not measured.
pub fn predictions() -> Vec<PredictionRow> {
    let row = |question, ask: &str, guess, measured, interval: Option<(f64, f64)>| PredictionRow {
        question,
        ask: ask.to_owned(),
        unit: "frames".to_owned(),
        guess,
        measured,
        ci95_low: interval.map(|(low, _)| low),
        ci95_high: interval.map(|(_, high)| high),
    };
    vec![
        row(
            1,
            "How many frames does the sender send by unicast to 4 receivers?",
            Some(8.0),
            Some(4.0),
            Some((4.0, 4.0)),
        ),
        row(2, "How many reach a bystander by multicast?", Some(0.0), Some(0.0), Some((0.0, 0.0))),
        row(3, "How many by broadcast?", None, Some(1.0), None),
        row(4, "How many by carrier pigeon?", Some(1.0), None, None),
    ]
}

fn condition(setting: &Setting, mode: Mode, name: &str, number: u32) -> ConditionRow {
    ConditionRow {
        condition: name.to_owned(),
        mode,
        setting: number,
        label: setting.label(),
        case: setting.case.clone(),
        hosts: setting.hosts as u64,
        receivers: setting.receivers as u64,
        bystanders: setting.bystanders(mode) as u64,
        switch: setting.switch.to_owned(),
        nic: if setting.card_filters { "filter" } else { "promiscuous" }.to_owned(),
        lans: if setting.beyond_router > 0 { 2 } else { 1 },
        ipv6: false,
        offered_rate: setting.rate,
        size_bytes: 64,
        duration_s: WINDOW_S,
        trials: setting.trials,
        ttl: (mode == Mode::Multicast).then_some(4),
        group_address: if mode == Mode::Multicast { "239.77.1.1".to_owned() } else { String::new() },
        relay: String::new(),
        qos: None,
        distance_s: 0.0,
        igmp: String::new(),
        broadcast_address: String::new(),
        burst: 1,
        attribution: String::new(),
    }
}

/// Frames of each kind that reach a host's link.
struct Arriving {
    wanted: u64,
    for_others: u64,
}

fn arriving(setting: &Setting, mode: Mode, host: usize) -> Arriving {
    let wants = setting.role(mode, host) == Role::Receiver;
    let k = setting.receivers as u64;
    let here = setting.lan(host) == 1;
    let own = u64::from(wants);
    let per_message = match mode {
        Mode::Unicast if setting.switch == "hub" && here => Arriving { wanted: own, for_others: k - own },
        Mode::Unicast => Arriving { wanted: own, for_others: 0 },
        Mode::Broadcast | Mode::RawBroadcast => Arriving { wanted: u64::from(here), for_others: 0 },
        Mode::Multicast if setting.switch == "snooping" => Arriving { wanted: own, for_others: 0 },
        Mode::Multicast => Arriving { wanted: 1, for_others: 0 },
        Mode::Chat | Mode::Pubsub => Arriving { wanted: own, for_others: 0 },
    };
    Arriving { wanted: per_message.wanted * MESSAGES, for_others: per_message.for_others * MESSAGES }
}

/// Between 0.95 and 1.05, the same for the same trial and host.
fn scatter(trial: u32, host: usize, salt: u64) -> f64 {
    let mut x = (u64::from(trial) << 32) ^ (host as u64 * 0x9e37_79b9) ^ salt.wrapping_mul(0x1000_0001);
    for _ in 0..3 {
        x ^= x >> 31;
        x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    0.95 + 0.1 * ((x >> 40) as f64 / (1_u64 << 24) as f64)
}

fn trial_of(setting: &Setting, mode: Mode, condition: &str, trial: u32) -> Vec<HostRow> {
    let mut rows: Vec<HostRow> =
        (1..=setting.hosts).map(|host| host_row(setting, mode, condition, trial, host)).collect();
    if setting.beyond_router > 0 {
        let mut router = HostRow::new("1f", condition, mode, trial, "router", Role::Router);
        let beyond = if mode == Mode::Multicast { MESSAGES } else { 0 };
        router.link_rx_frames = Some(if mode == Mode::Unicast { 0 } else { MESSAGES });
        router.link_tx_frames = Some(beyond);
        router.cpu_total_ns = Some(3 * MESSAGES * 1000);
        rows.push(router);
    }
    let mut switch = HostRow::new("1f", condition, mode, trial, "switch", Role::Switch);
    switch.cpu_kernel_rx_ns = Some(9 * MESSAGES * 1000);
    switch.cpu_total_ns = switch.cpu_kernel_rx_ns;
    rows.push(switch);
    rows
}

fn host_row(setting: &Setting, mode: Mode, condition: &str, trial: u32, host: usize) -> HostRow {
    let role = setting.role(mode, host);
    let mut row = HostRow::new("1f", condition, mode, trial, &format!("h{host}"), role);
    row.lan = setting.lan(host);
    row.duration_s = Some(WINDOW_S);
    row.size_bytes = Some(64);
    row.offered_rate = setting.rate;
    row.cpu_method = "napi-threads".to_owned();
    let micros = |price: f64| Some((price * MESSAGES as f64 * 1e3 * scatter(trial, host, mode as u64)) as u64);
    if mode.has_server() && role == Role::Server {
        return server_row(setting, mode, row, micros(30.0 + 14.0 * setting.receivers as f64));
    }
    if role == Role::Sender {
        let copies = mode.copies_per_message(setting.receivers);
        row.messages_sent = Some(MESSAGES);
        row.copies_sent = Some(copies * MESSAGES);
        row.link_tx_frames = Some(copies * MESSAGES);
        row.link_rx_frames = Some(0);
        if mode.has_server() {
            // Two segments have one acknowledgement.
            row.link_rx_frames = Some(MESSAGES / 2);
            (row.tcp_out_segs, row.tcp_in_segs) = (row.link_tx_frames, row.link_rx_frames);
            row.request_p50_ns = Some((450_000.0 * scatter(trial, host, 13)) as u64);
        }
        row.cpu_total_ns = micros(20.0 + 12.0 * copies as f64);
        row.skew_p50_ns = Some((20_000.0 * copies as f64 * scatter(trial, host, 11)) as u64);
        row.skew_p99_ns = row.skew_p50_ns.map(|skew| skew * 4);
        return row;
    }
    let Arriving { wanted, mut for_others } = arriving(setting, mode, host);
    row.link_tx_frames = Some(0);
    row.link_ring_dropped = Some(0);
    if setting.card_filters {
        row.nic_filtered = Some(for_others);
        for_others = 0;
    }
    row.link_rx_frames = Some(wanted + for_others);
    row.link_rx_other_host = Some(for_others);
    let raw = mode == Mode::RawBroadcast;
    let bystander = role == Role::Bystander;
    row.link_rx_dropped = Some(if raw && bystander { wanted } else { 0 });
    row.ip_in_receives = Some(if raw { 0 } else { wanted });
    row.ip_in_discards = Some(0);
    row.ip_not_joined = Some(if mode == Mode::Multicast && bystander { wanted } else { 0 });
    row.udp_ignored_multi = Some(if mode == Mode::Broadcast && bystander { wanted } else { 0 });
    row.udp_no_ports = Some(0);
    row.udp_rcvbuf_errors = Some(0);
    let tcp = mode.has_server();
    row.udp_in_datagrams = Some(if bystander || raw || tcp { 0 } else { wanted });
    if tcp {
        row.tcp_in_segs = Some(wanted);
        row.tcp_out_segs = Some(wanted / 2);
        row.link_tx_frames = Some(wanted / 2);
    }
    row.cpu_total_ns = micros(
        2.5 * for_others as f64 / MESSAGES as f64
            + if bystander { 6.0 } else { 30.0 } * wanted as f64 / MESSAGES as f64,
    );
    if role == Role::Receiver {
        row.messages_received = Some(wanted);
        row.messages_lost = Some(MESSAGES - wanted.min(MESSAGES));
        row.socket_dropped = Some(0);
        let base = 80_000.0 + 1_000.0 * host as f64 * setting.receivers as f64;
        row.latency_p50_ns = Some((base * scatter(trial, host, 5)) as u64);
        row.latency_p99_ns = Some((base * 3.0 * scatter(trial, host, 6)) as u64);
        row.kernel_latency_p50_ns = Some((base * 0.7 * scatter(trial, host, 7)) as u64);
        row.kernel_latency_p99_ns = Some((base * 2.0 * scatter(trial, host, 8)) as u64);
        row.last_received_s = Some(WINDOW_S * setting.silent_from.unwrap_or(0.999));
    }
    row
}

/// Gets each message once and sends it to each receiver; two segments have one acknowledgement.
fn server_row(setting: &Setting, mode: Mode, row: HostRow, cpu_total_ns: Option<u64>) -> HostRow {
    let k = setting.receivers as u64;
    let (got, sent) = (MESSAGES + k * MESSAGES / 2, k * MESSAGES + MESSAGES / 2);
    HostRow {
        cpu_total_ns,
        link_tx_frames: Some(sent),
        link_ring_dropped: Some(0),
        link_rx_frames: Some(got),
        link_rx_other_host: Some(0),
        link_rx_dropped: Some(0),
        ip_in_receives: Some(got),
        ip_in_discards: Some(0),
        ip_not_joined: Some(0),
        udp_ignored_multi: Some(0),
        udp_no_ports: Some(0),
        udp_rcvbuf_errors: Some(0),
        udp_in_datagrams: Some(0),
        tcp_in_segs: Some(got),
        tcp_out_segs: Some(sent),
        tcp_retrans_segs: Some(0),
        tcp_passive_opens: Some(0),
        server_accepts: Some(k + 1),
        server_clients: Some(k + 1),
        server_threads: (mode == Mode::Chat).then_some(k + 2),
        server_dropped: Some(0),
        server_accept_cpu_ns: Some(90_000),
        ..row
    }
}

/// Eight intervals.
fn samples_of(setting: &Setting, rows: &[HostRow]) -> Vec<SampleRow> {
    const INTERVALS: u64 = 8;
    let sample = |row: &HostRow, interval: u64| {
        let silent = setting.silent_from.is_some_and(|part| interval as f64 / INTERVALS as f64 >= part);
        let got = row.link_rx_frames.map(|frames| if silent { 0 } else { frames / INTERVALS });
        SampleRow {
            run_id: row.run_id.clone(),
            condition: row.condition.clone(),
            mode: row.mode,
            trial: row.trial,
            host: row.host.clone(),
            role: row.role,
            time_s: WINDOW_S / INTERVALS as f64 * (interval + 1) as f64,
            interval_s: WINDOW_S / INTERVALS as f64,
            link_tx_frames: row.link_tx_frames.map(|frames| frames / INTERVALS),
            link_rx_frames: got,
            cpu_kernel_rx_ns: None,
            cpu_app_ns: None,
        }
    };
    let few = if rows.len() > 50 { 1 } else { INTERVALS };
    (0..few).flat_map(|interval| rows.iter().map(move |row| sample(row, interval))).collect()
}

//! The rows of the CSV files. The names and the order of the columns are relied on by others.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::units::{Mode, Role};

pub use super::host_row::HostRow;

/// A row of one of the CSV files.
pub trait Row: Serialize + DeserializeOwned {
    /// The file's name in the result folder.
    const FILE: &'static str;
    /// The columns in their order: the fields of the row.
    const COLUMNS: &'static [&'static str];
}

/// `samples.csv`: one host over one interval of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleRow {
    /// As in [`HostRow`].
    pub run_id: String,
    /// As in [`HostRow`].
    pub condition: String,
    /// As in [`HostRow`].
    pub mode: Mode,
    /// As in [`HostRow`].
    pub trial: u32,
    /// As in [`HostRow`].
    pub host: String,
    /// As in [`HostRow`].
    pub role: Role,
    /// End of the interval, in s from the start of the window.
    pub time_s: f64,
    /// Length of the interval, in s.
    pub interval_s: f64,
    /// Frames the host sent, by the switch's port (switch: of all ports).
    pub link_tx_frames: Option<u64>,
    /// Frames the host got, by the switch's port (switch: of all ports).
    pub link_rx_frames: Option<u64>,
    /// CPU time of the host's NAPI threads.
    pub cpu_kernel_rx_ns: Option<u64>,
    /// CPU time of the host's process.
    pub cpu_app_ns: Option<u64>,
}

impl Row for SampleRow {
    const FILE: &'static str = "samples.csv";
    const COLUMNS: &'static [&'static str] = &[
        "run_id",
        "condition",
        "mode",
        "trial",
        "host",
        "role",
        "time_s",
        "interval_s",
        "link_tx_frames",
        "link_rx_frames",
        "cpu_kernel_rx_ns",
        "cpu_app_ns",
    ];
}

/// `summary.csv`: one metric of one role in one condition, over the valid trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// As in [`HostRow`].
    pub condition: String,
    /// As in [`HostRow`].
    pub mode: Mode,
    /// `sender`, `receiver`, `bystander`, `switch`, or `all` for the whole LAN.
    pub role: String,
    /// What was measured, with its unit in [`unit`](Self::unit).
    pub metric: String,
    /// `frames/message`, `us/message`, `ns`, `ratio`, …
    pub unit: String,
    /// Trials it is from: the valid ones, but see `doubtful`.
    pub n: u64,
    /// Over the trials.
    pub median: Option<f64>,
    /// Over the trials.
    pub mean: Option<f64>,
    /// Lower end of the 95 % confidence interval of the mean.
    pub ci95_low: Option<f64>,
    /// Upper end.
    pub ci95_high: Option<f64>,
    /// Coefficient of variation: standard deviation / mean.
    pub cv: Option<f64>,
    // Beyond the fixed columns.
    /// How many of the `n` trials are marked ones, taken in since the valid ones were too few for a time.
    #[serde(default)]
    pub doubtful: u64,
}

impl Row for SummaryRow {
    const FILE: &'static str = "summary.csv";
    const COLUMNS: &'static [&'static str] = &[
        "condition",
        "mode",
        "role",
        "metric",
        "unit",
        "n",
        "median",
        "mean",
        "ci95_low",
        "ci95_high",
        "cv",
        "doubtful",
    ];
}

/// `conditions.csv`: what was the same in all trials of a condition, and so what sets it apart from the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionRow {
    /// As in [`HostRow`].
    pub condition: String,
    /// As in [`HostRow`].
    pub mode: Mode,
    /// Conditions with the same number differ in nothing but the mode; from 1, in the order of the tables.
    pub setting: u32,
    /// The setting in words, as the tables' headings have it.
    pub label: String,
    /// The lab's name for the case; empty without one.
    pub case: String,
    /// Hosts: sender, receivers and bystanders, without router and switch.
    pub hosts: u64,
    /// Those that want the messages.
    pub receivers: u64,
    /// Those that want nothing.
    pub bystanders: u64,
    /// `snooping`, `flooding`, `hub`, …
    pub switch: String,
    /// `promiscuous` (the host's kernel sees every frame) or `filter` (a card drops what is for another host's MAC).
    pub nic: String,
    /// LANs, joined by a router where there are several.
    pub lans: u64,
    /// Whether it is IPv6.
    pub ipv6: bool,
    /// Messages/s asked for; empty for `max`.
    pub offered_rate: Option<f64>,
    /// UDP payload.
    pub size_bytes: u64,
    /// Length of the send window asked for, in s.
    pub duration_s: f64,
    /// Trials planned.
    pub trials: u32,
    /// Hop limit of group messages; empty for other modes.
    pub ttl: Option<u32>,
    /// The group; empty for other modes.
    pub group_address: String,
    /// How the chat server passes messages on: `direct` or `queued`; empty in other modes.
    #[serde(default)]
    pub relay: String,
    /// MQTT quality of service; empty in other modes.
    #[serde(default)]
    pub qos: Option<u32>,
    /// One-way delay of the router between LANs, in s; 0 without.
    #[serde(default)]
    pub distance_s: f64,
    /// How membership is kept: the version of IGMP, and its intervals where they are not the usual ones (`2-500ms`); empty in
    /// other modes.
    #[serde(default)]
    pub igmp: String,
    /// `limited` (255.255.255.255) or `directed` (the subnet's own); empty in other modes.
    #[serde(default)]
    pub broadcast_address: String,
    /// Messages that leave at each due time: `offered_rate` / `burst` due times a second.
    #[serde(default = "one")]
    pub burst: u32,
    /// `threads` (each host's receive work is done by threads of its own, so that its CPU time can be told) or `plain`.
    #[serde(default)]
    pub attribution: String,
}

/// A burst where there were none.
fn one() -> u32 {
    1
}

impl Row for ConditionRow {
    const FILE: &'static str = "conditions.csv";
    const COLUMNS: &'static [&'static str] = &[
        "condition",
        "mode",
        "setting",
        "label",
        "case",
        "hosts",
        "receivers",
        "bystanders",
        "switch",
        "nic",
        "lans",
        "ipv6",
        "offered_rate",
        "size_bytes",
        "duration_s",
        "trials",
        "ttl",
        "group_address",
        "relay",
        "qos",
        "distance_s",
        "igmp",
        "broadcast_address",
        "burst",
        "attribution",
    ];
}

/// `claims.csv`: a statement of the lab and whether the run bore it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimRow {
    /// Number, from 1, in the order of the lab file.
    pub claim: u32,
    /// The statement of the lecture it belongs to: `L3`; several are separated by spaces.
    pub statement: String,
    /// The sentence it stands for.
    pub says: String,
    /// What was judged, in words: metric, role, conditions and bound.
    pub judged: String,
    /// `holds`, `fails` or `holds-if-decided`: what the lab expects.
    pub expect: String,
    /// `holds`, `does-not-hold`, `holds-only-on`, `undecided` or `cannot-be-shown`.
    pub verdict: String,
    /// Whether the verdict is what the lab expects; one that cannot be shown here is no failure.
    pub as_expected: bool,
    /// The figures it rests on, in words.
    pub figures: String,
    /// Where it holds only, how many more trials it would take, or why it cannot be shown; else empty.
    pub remark: String,
    /// What the statements of the lecture say; empty in older files.
    #[serde(default)]
    pub lecture: String,
    /// Where it is undecided and more trials would probably decide it: how many of each condition.
    pub more_trials: Option<u32>,
}

impl ClaimRow {
    /// What to say below verdicts some of which rest on 95 % intervals; `None` where none does, counts being exact.
    pub fn chance(rows: &[ClaimRow]) -> Option<&'static str> {
        let has_interval = rows.iter().any(|row| row.figures.contains('['));
        has_interval.then_some(
            "[…] is a 95 % interval: one in twenty misses what is true, so a single surprise may be chance. Another run \
             tells.",
        )
    }
}

impl Row for ClaimRow {
    const FILE: &'static str = "claims.csv";
    const COLUMNS: &'static [&'static str] = &[
        "claim",
        "statement",
        "says",
        "judged",
        "expect",
        "verdict",
        "as_expected",
        "figures",
        "remark",
        "lecture",
        "more_trials",
    ];
}

/// `predictions.csv`: what the user guessed before the run, beside what was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionRow {
    /// Number, from 1.
    pub question: u32,
    /// What was asked.
    pub ask: String,
    /// The unit of both figures.
    pub unit: String,
    /// What was guessed; empty for "don't know".
    pub guess: Option<f64>,
    /// What was measured: the mean.
    pub measured: Option<f64>,
    /// Lower end of its 95 % confidence interval.
    pub ci95_low: Option<f64>,
    /// Upper end.
    pub ci95_high: Option<f64>,
}

impl Row for PredictionRow {
    const FILE: &'static str = "predictions.csv";
    const COLUMNS: &'static [&'static str] = &["question", "ask", "unit", "guess", "measured", "ci95_low", "ci95_high"];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fixed columns; the order counts, more may follow.
    const FIXED_HOST_COLUMNS: &str = "run_id,condition,mode,trial,host,role,valid,invalid_reason,duration_s,\
        size_bytes,offered_rate,messages_sent,copies_sent,messages_received,messages_lost,messages_duplicate,\
        messages_reordered,messages_unrecognized,link_tx_frames,link_tx_bytes,link_tx_dropped,link_ring_dropped,\
        link_rx_frames,link_rx_bytes,link_rx_dropped,link_rx_other_host,ip_in_receives,ip_in_delivers,ip_in_mcast,\
        ip_in_bcast,ip_in_discards,ip_not_joined,udp_in_datagrams,udp_no_ports,udp_rcvbuf_errors,udp_ignored_multi,\
        udp_in_errors,latency_p50_ns,latency_p99_ns,latency_max_ns,cpu_app_ns,cpu_kernel_rx_ns,cpu_total_ns,\
        cpu_method";

    /// What serde and csv make of a row, header first.
    fn written<R: Row>(row: &R) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(row).unwrap();
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    }

    fn header<R: Row>(row: &R) -> String {
        written(row).lines().next().unwrap().to_owned()
    }

    fn host() -> HostRow {
        HostRow::new("1f", "unicast", Mode::RawBroadcast, 2, "h3", Role::Bystander)
    }

    fn sample() -> SampleRow {
        SampleRow {
            run_id: "1f".to_owned(),
            condition: "c".to_owned(),
            mode: Mode::Unicast,
            trial: 1,
            host: "switch".to_owned(),
            role: Role::Switch,
            time_s: 0.5,
            interval_s: 0.1,
            link_tx_frames: Some(3),
            link_rx_frames: None,
            cpu_kernel_rx_ns: Some(0),
            cpu_app_ns: None,
        }
    }

    fn summary() -> SummaryRow {
        SummaryRow {
            condition: "c".to_owned(),
            mode: Mode::Multicast,
            role: "all".to_owned(),
            metric: "link_frames".to_owned(),
            unit: "frames/message".to_owned(),
            n: 1,
            median: Some(5.0),
            mean: Some(5.0),
            ci95_low: None,
            ci95_high: None,
            cv: None,
            doubtful: 0,
        }
    }

    #[test]
    fn hosts_csv_begins_with_the_fixed_columns() {
        let header = header(&host());
        assert_eq!(header.strip_prefix(FIXED_HOST_COLUMNS).map(|rest| rest.starts_with(',')), Some(true), "{header}");
        assert_eq!(
            &header[FIXED_HOST_COLUMNS.len()..],
            ",kernel_latency_p50_ns,kernel_latency_p99_ns,jitter_ns,lateness_p99_ns,socket_dropped,skew_p50_ns,skew_p99_ns,counts_valid,group,lan,\
             nic_filtered,flow_sent,flow_received,join_delay_ns,leave_delay_ns,last_received_s,work_per_s,link_limit_dropped,tcp_in_segs,tcp_out_segs,tcp_retrans_segs,tcp_active_opens,\
             tcp_passive_opens,request_p50_ns,server_accepts,server_clients,server_threads,server_dropped,server_accept_cpu_ns,cpu_send_ns,cpu_wake_ns,wake_ups,machine_busy_ns"
        );
    }

    #[test]
    fn the_other_files_have_the_fixed_columns() {
        assert_eq!(header(&summary()), "condition,mode,role,metric,unit,n,median,mean,ci95_low,ci95_high,cv,doubtful");
        assert_eq!(
            header(&sample()),
            "run_id,condition,mode,trial,host,role,time_s,interval_s,link_tx_frames,link_rx_frames,cpu_kernel_rx_ns,\
             cpu_app_ns"
        );
    }

    #[test]
    fn the_columns_are_the_fields() {
        assert_eq!(HostRow::COLUMNS.join(","), header(&host()));
        assert_eq!(SampleRow::COLUMNS.join(","), header(&sample()));
        assert_eq!(SummaryRow::COLUMNS.join(","), header(&summary()));
        let condition = ConditionRow {
            condition: "c".to_owned(),
            mode: Mode::Multicast,
            setting: 1,
            label: "l".to_owned(),
            case: String::new(),
            hosts: 2,
            receivers: 1,
            bystanders: 0,
            switch: "hub".to_owned(),
            nic: "filter".to_owned(),
            lans: 1,
            ipv6: false,
            offered_rate: None,
            size_bytes: 64,
            duration_s: 1.0,
            trials: 3,
            ttl: Some(1),
            group_address: "239.1.1.1".to_owned(),
            relay: String::new(),
            qos: None,
            distance_s: 0.0,
            igmp: "3".to_owned(),
            broadcast_address: String::new(),
            burst: 1,
            attribution: "threads".to_owned(),
        };
        assert_eq!(ConditionRow::COLUMNS.join(","), header(&condition));
        let claim = ClaimRow {
            claim: 1,
            statement: "L3".to_owned(),
            says: "s".to_owned(),
            judged: "j".to_owned(),
            expect: "holds".to_owned(),
            verdict: "holds".to_owned(),
            as_expected: true,
            figures: "f".to_owned(),
            remark: String::new(),
            lecture: "l".to_owned(),
            more_trials: None,
        };
        assert_eq!(ClaimRow::COLUMNS.join(","), header(&claim));
        let prediction = PredictionRow {
            question: 1,
            ask: "a".to_owned(),
            unit: "u".to_owned(),
            guess: None,
            measured: Some(1.0),
            ci95_low: None,
            ci95_high: None,
        };
        assert_eq!(PredictionRow::COLUMNS.join(","), header(&prediction));
    }

    #[test]
    fn missing_is_empty_and_zero_is_zero() {
        let mut row = host();
        row.link_rx_frames = Some(0);
        let text = written(&row);
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with("1f,unicast,raw-broadcast,2,h3,bystander,true,,,"), "{line}");
        assert_eq!(line.split(',').filter(|field| *field == "0").count(), 1);
        let back: HostRow = csv::Reader::from_reader(text.as_bytes()).deserialize().next().unwrap().unwrap();
        assert_eq!(back, row);
    }
}

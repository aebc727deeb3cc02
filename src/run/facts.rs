//! What is known of a network before anything is measured on it.

use serde::Serialize;

use crate::lan::LanSpec;
use crate::results::metadata::Calibration;

/// What a set-up found out; goes into `run.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// Of which network.
    pub network: LanSpec,
    /// Time from nothing to a LAN with all its threads, in s.
    pub lan_up_s: f64,
    /// Time from there to the last agent's answer, in s.
    pub agents_ready_s: f64,
    /// Bytes added to each frame in `link_tx_bytes` because this kernel's counter leaves the Ethernet header out.
    pub tx_header_bytes_added: Option<u64>,
    /// The same for `link_rx_bytes`.
    pub rx_header_bytes_added: Option<u64>,
    /// Frames a second all ports together carried while nothing was sent.
    pub idle_frames_per_second: f64,
    /// What attribution itself costs; has its own place in `run.json`.
    #[serde(skip)]
    pub calibration: Option<Calibration>,
    /// Why CPU time could not be attributed to hosts; `None` when it could.
    pub app_only: Option<String>,
    /// Why the network cards do not filter although they were to; `None` where they do, or were not to.
    pub nic_unavailable: Option<String>,
    /// Why no host can have a CPU for its own receive work; `None` where it can, or none is to.
    pub work_refused: Option<String>,
    /// Receive buffer granted to a receiver (the smallest), in bytes.
    pub receive_buffer_bytes: Option<u64>,
}

impl Facts {
    /// Nothing yet.
    pub fn of(network: &LanSpec) -> Facts {
        Facts {
            network: network.clone(),
            lan_up_s: 0.0,
            agents_ready_s: 0.0,
            tx_header_bytes_added: None,
            rx_header_bytes_added: None,
            idle_frames_per_second: 0.0,
            calibration: None,
            app_only: None,
            nic_unavailable: None,
            work_refused: None,
            receive_buffer_bytes: None,
        }
    }
}

//! One LAN of the picture: its hosts around the switch, or, where they are many, in blocks under it.

use std::f64::consts::PI;

use maud::{Markup, html};

use super::drawing::{Num, lines, wrap};
use super::network::{frames, letter};
use super::scale::{Fill, Scale};
use crate::results::figure;
use crate::results::host::HostMeans;
use crate::units::{Mode, Role};

/// A part of the picture, in its own coordinates.
pub(super) struct Cell {
    pub(super) body: Markup,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Where links from elsewhere end.
    pub(super) switch: (f64, f64),
}

/// How a LAN is to be drawn.
pub(super) struct Style<'a> {
    pub(super) mode: Mode,
    pub(super) scale: &'a Scale,
    /// What the device in the middle is called.
    pub(super) device: &'a str,
    /// Where a link comes from above: how many LANs further to the left, or to the right where it is negative.
    pub(super) router: Option<f64>,
    /// Whether messages make a detour by a server, on this LAN or another.
    pub(super) served: bool,
    /// What the LAN is called, where there are several; each is then drawn smaller.
    pub(super) name: Option<String>,
}

/// Width of a picture of one LAN.
const WIDTH: f64 = 384.0;
/// More hosts than this have no room around a switch.
const MOST_AROUND: usize = 41;
/// The part of the circle left free for a link from above.
const FREE: f64 = PI / 6.0;
/// How far above the LANs the router is.
pub(super) const ABOVE: f64 = 28.0;

/// The hosts of one LAN.
pub(super) fn lan(hosts: &[&HostMeans], style: &Style) -> Cell {
    if hosts.len() <= MOST_AROUND { around(hosts, style) } else { in_blocks(hosts, style) }
}

/// Of no LAN at all.
pub(super) fn empty() -> Cell {
    Cell { body: html! {}, width: WIDTH, height: 120.0, switch: (0.0, 0.0) }
}

/// Around the switch, the sender on top; a server beside it, set apart from those to whom it sends on.
fn around(hosts: &[&HostMeans], style: &Style) -> Cell {
    let away = if style.name.is_some() { 100.0 } else { 138.0 };
    let width = if style.name.is_some() { 2.0 * away + 60.0 } else { WIDTH };
    let size = (PI * away / hosts.len().max(1) as f64 * 0.78).clamp(7.0, 18.0);
    let centre = (width / 2.0, away + 24.0);
    // Towards the router nothing is in the way.
    let towards = style.router.map(|aside| (-ABOVE - centre.1).atan2(-aside * width));
    let angles = angles(hosts, towards);
    let place = |angle: f64| (centre.0 + away * angle.cos(), centre.1 + away * angle.sin());
    let placed: Vec<_> = angles.into_iter().map(place).zip(hosts.iter().copied()).collect();
    let height = 2.0 * (away + 24.0);
    let body = html! {
        @for (at, host) in &placed { (link(host, *at, centre, style)) }
        (device(style.device, centre, None))
        @for (at, host) in &placed {
            g {
                title { (in_words(host)) }
                @if host.role == Role::Server { (server(*at, style.scale.fill(host.cpu))) }
                @else { (badge(host.role, *at, size, style.scale.fill(host.cpu))) }
            }
        }
        @if let Some(name) = &style.name {
            text class="small muted mid" x=(Num(centre.0)) y=(Num(height + 12.0)) { (name) }
        }
    };
    Cell { body, width, height: height + if style.name.is_some() { 16.0 } else { 0.0 }, switch: centre }
}

/// Where each host is on the circle. A server has a wide part of it for itself; `towards` is where a link from above
/// comes in.
fn angles(hosts: &[&HostMeans], towards: Option<f64>) -> Vec<f64> {
    /// A server's part of the circle.
    const APART: f64 = 1.0;
    let (start, arc) = match towards {
        None => (-PI / 2.0, 2.0 * PI),
        Some(towards) => (towards + FREE / 2.0, 2.0 * PI - FREE),
    };
    let is_server = |host: &&&HostMeans| host.role == Role::Server;
    let servers = hosts.iter().filter(is_server).count();
    let even = arc / hosts.len().max(1) as f64;
    let wide = if even < APART && servers <= 2 { APART } else { even };
    let narrow = (arc - wide * servers as f64) / (hosts.len() - servers).max(1) as f64;
    let part = |host: &&HostMeans| if host.role == Role::Server { wide } else { narrow };
    let mut end = match towards {
        Some(_) => start,
        // The sender on top; with a server, the middle between the two.
        None if servers > 0 => start - (wide + narrow) / 4.0 - narrow / 2.0,
        None => start - narrow / 2.0,
    };
    let middle = |host: &&HostMeans| {
        end += part(host);
        end - part(host) / 2.0
    };
    hosts.iter().map(middle).collect()
}

/// The link of a host. That of a server shows both ways apart; where there is one, the sender's has an arrow.
fn link(host: &HostMeans, at: (f64, f64), switch: (f64, f64), style: &Style) -> Markup {
    if host.role == Role::Server {
        return style.scale.both_ways((switch, at), (host.link_rx_frames, host.link_tx_frames), style.mode);
    }
    html! {
        (style.scale.link(switch, at, frames(host), style.mode))
        @if style.served && host.role == Role::Sender {
            (style.scale.arrow((at, switch), 0.5, frames(host), style.mode))
        }
    }
}

/// Hosts of a kind in a block of tiles, each block on a link as thick as that of each of its hosts.
fn in_blocks(hosts: &[&HostMeans], style: &Style) -> Cell {
    const TOP: f64 = 118.0;
    const HEIGHT: f64 = 170.0;
    const BETWEEN: f64 = 12.0;
    let switch = (WIDTH / 2.0, 34.0);
    let mut kinds: Vec<(Role, &str)> = hosts.iter().map(|host| (host.role, host.group.as_str())).collect();
    kinds.sort();
    kinds.dedup();
    kinds.retain(|(role, _)| !matches!(role, Role::Sender | Role::Server));
    let of_kind = |kind: &(Role, &str)| {
        let of_kind = |host: &&&HostMeans| (host.role, host.group.as_str()) == *kind;
        hosts.iter().filter(of_kind).copied().collect::<Vec<_>>()
    };
    let blocks: Vec<Vec<&HostMeans>> = kinds.iter().map(of_kind).collect();
    let widths = shared(&blocks.iter().map(Vec::len).collect::<Vec<_>>(), WIDTH - 12.0, BETWEEN);
    let sizes: Vec<(usize, f64)> = blocks.iter().map(Vec::len).zip(widths.iter().copied()).collect();
    let tile = tile_that_fits(&sizes, HEIGHT);
    let height = height_of(&sizes, tile);

    let mut x = 6.0;
    let mut placed = Vec::new();
    for (block, width) in blocks.iter().zip(&widths) {
        placed.push((x, *width, block));
        x += width + BETWEEN;
    }
    // The sender to the left of the switch, a server to its right.
    let of_role = |role: Role, x: f64| {
        let of_role = hosts.iter().copied().filter(move |host| host.role == role);
        of_role.enumerate().map(move |(index, host)| (host, (x, 34.0 + 26.0 * index as f64))).collect::<Vec<_>>()
    };
    let (senders, servers) = (of_role(Role::Sender, 36.0), of_role(Role::Server, WIDTH - 42.0));
    let body = html! {
        @for (host, at) in senders.iter().chain(&servers) { (link(host, *at, switch, style)) }
        @for (x, width, block) in &placed {
            (style.scale.link(switch, (x + width / 2.0, TOP - 22.0), of_each(block), style.mode))
        }
        (device(style.device, switch, None))
        @for (host, at) in &senders {
            g {
                title { (in_words(host)) }
                (badge(host.role, *at, 18.0, style.scale.fill(host.cpu)))
            }
        }
        @for (host, at) in &servers {
            g {
                title { (in_words(host)) }
                (server(*at, style.scale.fill(host.cpu)))
            }
        }
        @for (x, width, block) in &placed {
            (tiles(block, (*x, TOP), *width, tile, style))
        }
        @if let Some(name) = &style.name {
            text class="small muted mid" x=(Num(switch.0)) y=(Num(TOP + height + 20.0)) { (name) }
        }
    };
    Cell { body, width: WIDTH, height: TOP + height + 24.0, switch }
}

fn tiles(hosts: &[&HostMeans], (left, top): (f64, f64), width: f64, tile: f64, style: &Style) -> Markup {
    let columns = columns(width, tile);
    let gap = if tile > 6.0 { 2.0 } else { 1.0 };
    let used = columns.min(hosts.len()) as f64 * tile;
    let role = hosts.first().map_or(Role::Bystander, |host| host.role);
    let heading = format!("{} {role}s", figure::count(hosts.len() as f64));
    html! {
        rect class="paper" x=(Num(left)) y=(Num(top - 22.0)) width=(Num(width)) height="20" rx="4" {}
        (lines(&wrap(&heading, 14.0, width, 1), "small mid", (left + width / 2.0, top - 7.0), 15.0))
        @for (index, host) in hosts.iter().enumerate() {
            @let (column, row) = ((index % columns) as f64, (index / columns) as f64);
            @let fill = style.scale.fill(host.cpu);
            rect class={ "tile " (fill.ground) } rx="1.5"
                x=(Num(left + (width - used) / 2.0 + column * tile)) y=(Num(top + row * tile))
                width=(Num(tile - gap)) height=(Num(tile - gap)) {
                title { (in_words(host)) }
            }
        }
    }
}

/// The mean on the link of each, where all are known.
fn of_each(hosts: &[&HostMeans]) -> Option<f64> {
    let frames: Vec<f64> = hosts.iter().copied().map(frames).collect::<Option<_>>()?;
    Some(frames.iter().sum::<f64>() / frames.len() as f64)
}

/// A width for each block, by its hosts, but enough for a heading where that can be.
fn shared(hosts: &[usize], width: f64, between: f64) -> Vec<f64> {
    let width = width - between * hosts.len().saturating_sub(1) as f64;
    let least = (width / hosts.len().max(1) as f64).min(110.0);
    let rest = width - least * hosts.len() as f64;
    let all = hosts.iter().sum::<usize>().max(1) as f64;
    hosts.iter().map(|&hosts| least + rest * hosts as f64 / all).collect()
}

/// The largest tile with which all blocks (hosts, width) are at most this high.
fn tile_that_fits(blocks: &[(usize, f64)], height: f64) -> f64 {
    (2..=24).rev().map(f64::from).find(|tile| height_of(blocks, *tile) <= height).unwrap_or(2.0)
}

/// How high the highest of blocks (hosts, width) is with tiles of this size.
fn height_of(blocks: &[(usize, f64)], tile: f64) -> f64 {
    let height = |(hosts, width): &(usize, f64)| (*hosts as f64 / columns(*width, tile) as f64).ceil() * tile;
    blocks.iter().map(height).fold(0.0, f64::max)
}

/// How many tiles are beside each other in a block.
fn columns(width: f64, tile: f64) -> usize {
    ((width - 4.0) / tile).floor().max(1.0) as usize
}

/// A host with its role's letter: round, but for the sender, which is square, and a server, which has six corners; with
/// a thick edge where it wants the messages.
pub(super) fn badge(role: Role, (x, y): (f64, f64), size: f64, fill: Fill) -> Markup {
    let class = format!("host {}{}", fill.ground, if role == Role::Receiver { " wants" } else { "" });
    html! {
        @if role == Role::Sender {
            rect class=(class) x=(Num(x - size)) y=(Num(y - size)) width=(Num(2.0 * size)) height=(Num(2.0 * size)) rx="4" {}
        } @else if role == Role::Server {
            polygon class=(class) points=(six_corners((x, y), size * 1.3, size)) {}
        } @else if role == Role::Router {
            rect class="device" x=(Num(x - size)) y=(Num(y - size * 0.6)) width=(Num(2.0 * size)) height=(Num(1.2 * size)) rx="3" {}
        } @else {
            circle class=(class) cx=(Num(x)) cy=(Num(y)) r=(Num(size)) {}
        }
        @if size >= 8.5 && role != Role::Router {
            text class={ "mid bold " (if size >= 13.0 { "" } else { "tiny " }) (fill.letter) }
                x=(Num(x)) y=(Num(y + if size >= 13.0 { 5.8 } else { 4.4 })) { (letter(role)) }
        }
    }
}

/// A server with its name in it, as wide as a device.
fn server((x, y): (f64, f64), fill: Fill) -> Markup {
    html! {
        polygon class={ "host " (fill.ground) } points=(six_corners((x, y), 40.0, 16.0)) {}
        text class={ "mid small bold " (fill.letter) } x=(Num(x)) y=(Num(y + 5.0)) { "server" }
    }
}

/// Corners of a hexagon of this half width and half height.
fn six_corners((x, y): (f64, f64), wide: f64, high: f64) -> String {
    let inner = wide - high * 0.6;
    let corners = [(-wide, 0.0), (-inner, -high), (inner, -high), (wide, 0.0), (inner, high), (-inner, high)];
    corners.map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).join(" ")
}

/// A device between hosts, with its name in it.
pub(super) fn device(name: &str, (x, y): (f64, f64), fill: Option<Fill>) -> Markup {
    html! {
        rect class={ "device" @if let Some(fill) = fill { " " (fill.ground) } }
            x=(Num(x - 36.0)) y=(Num(y - 15.0)) width="72" height="30" rx="6" {}
        text class={ "mid small" @if let Some(fill) = fill { " " (fill.letter) } } x=(Num(x)) y=(Num(y + 5.0)) { (name) }
    }
}

/// What a pointer on a host tells.
fn in_words(host: &HostMeans) -> String {
    let ways = if host.role == Role::Server { format!(" ({})", ways(host)) } else { String::new() };
    format!(
        "{}, {}: {} frames{ways}, {} µs",
        host.host,
        host.role,
        figure::amount(frames(host)),
        figure::cost(host.cpu)
    )
}

/// What a server got and what it sent.
pub(super) fn ways(host: &HostMeans) -> String {
    format!("{} in, {} out", figure::amount(host.link_rx_frames), figure::amount(host.link_tx_frames))
}

//! How often intervals of 95 % hold what is true: simulated runs with known effects on a machine that drifts, with noise
//! that is skewed or has heavy tails.

use std::f64::consts::PI;

use super::paired::{Line, Ratio, difference, least_squares};
use super::stats::Estimate;

const REPEATS: usize = 1000;
const ROUNDS: [usize; 4] = [4, 5, 8, 15];
/// Cost of a message in µs: a wake-up, and a copy for each of so many receivers.
const RECEIVERS: [f64; 4] = [1.0, 4.0, 16.0, 64.0];
const WAKE_UP: f64 = 20.0;
const COPY: f64 = 2.5;
/// The same of another mode.
const OTHER_WAKE_UP: f64 = 30.0;
const OTHER_COPY: f64 = 1.25;

/// What the machine does to all trials of a round alike; costs are multiplied by its exponential.
#[derive(Clone, Copy, Debug)]
enum Drift {
    None,
    /// By 15 % from the first round to the last.
    Linear,
    /// By 3 % from each round to the next, up or down.
    Walk,
    /// With a memory: the values of one condition are correlated by 0.3 from each round to the next, where the noise is
    /// normal.
    Memory,
}

/// What befalls each trial by itself; costs are multiplied by it. Its mean (where it has outliers: without them) is 1.
#[derive(Clone, Copy, Debug)]
enum Noise {
    Normal,
    LogNormal,
    /// Student's of 3 degrees of freedom.
    Student,
    /// Every 30th costs 5 times as much.
    Outliers,
}

/// Numbers that are scattered and always the same ones.
struct Random(u64);

impl Random {
    /// Between 0 and 1, both excluded.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON / 4.0
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (2.0 * PI * self.uniform()).cos()
    }

    fn noise(&mut self, noise: Noise) -> f64 {
        match noise {
            Noise::Normal => 1.0 + 0.15 * self.normal(),
            Noise::LogNormal => (0.3 * self.normal() - 0.045).exp(),
            Noise::Student => {
                let squares: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
                (0.1 * self.normal() / (squares / 3.0).sqrt()).exp()
            }
            Noise::Outliers => {
                let usual = 1.0 + 0.15 * self.normal();
                if self.uniform() < 1.0 / 30.0 { 5.0 * usual } else { usual }
            }
        }
        .max(0.01)
    }

    fn drift(&mut self, drift: Drift, rounds: usize) -> Vec<f64> {
        let mut state = 0.106 * self.normal();
        let each = |round: usize| match drift {
            Drift::None => 0.0,
            Drift::Linear => 0.15 * round as f64 / (rounds - 1) as f64,
            Drift::Walk => {
                state += 0.03 * self.normal();
                state
            }
            Drift::Memory => {
                state = 0.9 * state + 0.106 * 0.19_f64.sqrt() * self.normal();
                state
            }
        };
        (0..rounds).map(each).map(f64::exp).collect()
    }
}

/// What is estimated, in the order of [`intervals`].
const FIGURES: [&str; 7] =
    ["mean", "ratio", "difference", "slope", "intercept", "ratio of slopes", "difference of slopes"];

/// The intervals of one simulated run, each with what is true.
fn intervals(random: &mut Random, rounds: usize, drift: Drift, noise: Noise) -> [((f64, f64), f64); 7] {
    let machine = random.drift(drift, rounds);
    // What the run would find with endlessly many trials.
    let average = machine.iter().sum::<f64>() / rounds as f64;
    let mut line = |wake_up: f64, copy: f64| -> Vec<Vec<(f64, f64)>> {
        let round = |machine: &f64| {
            let cost = |k: f64| (k, (wake_up + copy * k) * machine * random.noise(noise));
            RECEIVERS.map(cost).to_vec()
        };
        machine.iter().map(round).collect()
    };
    let (own, other) = (line(WAKE_UP, COPY), line(OTHER_WAKE_UP, OTHER_COPY));
    // With 16 receivers.
    let pairs: Vec<(f64, f64)> = own.iter().zip(&other).map(|(own, other)| (own[2].1, other[2].1)).collect();
    let (cost, other_cost) = (WAKE_UP + 16.0 * COPY, OTHER_WAKE_UP + 16.0 * OTHER_COPY);
    let mean = Estimate::of(&pairs.iter().map(|(own, _)| *own).collect::<Vec<_>>()).unwrap();
    let slopes = |rounds: &[Vec<(f64, f64)>]| -> Vec<f64> {
        rounds.iter().map(|round| least_squares(round).unwrap().0).collect()
    };
    let slopes: Vec<(f64, f64)> = slopes(&own).into_iter().zip(slopes(&other)).collect();
    let ratio_of_slopes = Ratio::of(&slopes).map_or((f64::NEG_INFINITY, f64::INFINITY), |r| r.effect.ci95.unwrap());
    let lines = Line::of(&own).unwrap();
    [
        (mean.ci95.unwrap(), cost * average),
        (Ratio::of(&pairs).unwrap().effect.ci95.unwrap(), cost / other_cost),
        (difference(&pairs).unwrap().ci95.unwrap(), (cost - other_cost) * average),
        (lines.slope.ci95.unwrap(), COPY * average),
        (lines.intercept.ci95.unwrap(), WAKE_UP * average),
        (ratio_of_slopes, COPY / OTHER_COPY),
        (difference(&slopes).unwrap().ci95.unwrap(), (COPY - OTHER_COPY) * average),
    ]
}

#[test]
fn intervals_of_95_percent_hold_what_is_true_in_93_to_97() {
    std::thread::scope(|scope| {
        for rounds in ROUNDS {
            scope.spawn(move || {
                for noise in [Noise::Normal, Noise::LogNormal, Noise::Student, Noise::Outliers] {
                    check(rounds, noise);
                }
            });
        }
    });
}

fn check(rounds: usize, noise: Noise) {
    const DRIFTS: [Drift; 4] = [Drift::None, Drift::Linear, Drift::Walk, Drift::Memory];
    let mut random = Random(rounds as u64);
    let mut held = [0; FIGURES.len()];
    for drift in DRIFTS {
        let mut held_here = [0; FIGURES.len()];
        for _ in 0..REPEATS {
            for (held, ((low, high), truth)) in held_here.iter_mut().zip(intervals(&mut random, rounds, drift, noise)) {
                *held += usize::from(low <= truth && truth <= high);
            }
        }
        let least = held_here.iter().min().copied().unwrap();
        assert!(least >= 910, "{rounds} rounds, {noise:?}, {drift:?}: {FIGURES:?} {held_here:?}");
        held.iter_mut().zip(held_here).for_each(|(held, here)| *held += here);
    }
    for (held, figure) in held.into_iter().zip(FIGURES) {
        let percent = held as f64 * 100.0 / (REPEATS * DRIFTS.len()) as f64;
        // Two standard errors of so many repeats.
        const CHANCE: f64 = 0.7;
        let held_often = (93.0 - CHANCE..=97.0 + CHANCE).contains(&percent);
        assert!(held_often, "{figure}, {rounds} rounds, {noise:?}: {percent} %");
    }
}

//! What a server tells of itself to whoever watches it, who may be slow or stand still: nobody who tells ever waits.
//!
//! Events go into a bounded queue. While it is full they are counted instead, and the one who reads it learns how many
//! are missing, and where.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// The end that tells. Cloned, it tells the same reader.
#[derive(Debug)]
pub struct Feed<T> {
    queue: SyncSender<Entry<T>>,
    missed: Arc<AtomicU64>,
}

/// The end that reads.
#[derive(Debug)]
pub struct Reader<T> {
    queue: Receiver<Entry<T>>,
    missed: Arc<AtomicU64>,
    /// Read already, and to be given after the count of those missed before it.
    next: Option<T>,
}

/// What is read of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<T> {
    /// An event.
    Event(T),
    /// So many events that there was no room for.
    Missed(u64),
}

#[derive(Debug)]
struct Entry<T> {
    /// Events lost before this one.
    missed: u64,
    /// `None` says only that some were missed.
    event: Option<T>,
}

/// A feed of at most `capacity` unread events.
#[must_use]
pub fn feed<T>(capacity: usize) -> (Feed<T>, Reader<T>) {
    let (sender, receiver) = sync_channel(capacity.max(1));
    let missed = Arc::new(AtomicU64::new(0));
    let reader = Reader { queue: receiver, missed: Arc::clone(&missed), next: None };
    (Feed { queue: sender, missed }, reader)
}

impl<T> Feed<T> {
    /// Tells of an event, or counts it where the queue is full. Never waits.
    pub fn tell(&self, event: T) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if self.queue.try_send(Entry { missed, event: Some(event) }).is_err() {
            self.missed.fetch_add(missed.saturating_add(1), Ordering::Relaxed);
            // The reader may have emptied the queue meanwhile, and wait now: it looks at the count when it is woken.
            let _ = self.queue.try_send(Entry { missed: 0, event: None });
        }
    }
}

/// Tells whoever watches; where nobody does, the event is not even made up.
pub fn tell<T>(watcher: Option<&Feed<T>>, event: impl FnOnce() -> T) {
    if let Some(feed) = watcher {
        feed.tell(event());
    }
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Feed { queue: self.queue.clone(), missed: Arc::clone(&self.missed) }
    }
}

impl<T> Iterator for Reader<T> {
    type Item = Told<T>;

    /// Waits for what comes next; `None` when all who told are gone and all of it is read.
    fn next(&mut self) -> Option<Told<T>> {
        if let Some(event) = self.next.take() {
            return Some(Told::Event(event));
        }
        loop {
            let entry = match self.queue.try_recv() {
                Ok(entry) => entry,
                Err(end) => match (self.missed.swap(0, Ordering::Relaxed), end) {
                    (0, TryRecvError::Disconnected) => return None,
                    (0, TryRecvError::Empty) => match self.queue.recv() {
                        Ok(entry) => entry,
                        // The last of them may have missed something.
                        Err(_) => continue,
                    },
                    (missed, _) => return Some(Told::Missed(missed)),
                },
            };
            match (entry.missed, entry.event) {
                (0, Some(event)) => return Some(Told::Event(event)),
                (0, None) => {}
                (missed, event) => {
                    self.next = event;
                    return Some(Told::Missed(missed));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_finds_no_room_is_counted_where_it_is_missing() {
        let (feed, mut reader) = feed(2);
        for number in 0..5 {
            feed.tell(number);
        }
        assert_eq!(reader.next(), Some(Told::Event(0)));
        feed.tell(5);
        drop(feed);
        let rest: Vec<_> = reader.collect();
        assert_eq!(rest, [Told::Event(1), Told::Missed(3), Told::Event(5)]);
    }

    #[test]
    fn what_was_missed_last_is_told_without_another_event() {
        let (feed, mut reader) = feed(1);
        feed.tell(1);
        feed.tell(2);
        assert_eq!(reader.next(), Some(Told::Event(1)));
        assert_eq!(reader.next(), Some(Told::Missed(1)));
        feed.tell(3);
        assert_eq!(reader.next(), Some(Told::Event(3)));
    }

    #[test]
    fn nobody_who_reads_is_no_failure() {
        let (feed, reader) = feed(1);
        drop(reader);
        feed.tell(1);
    }

    #[test]
    fn many_who_tell_at_once_lose_nothing_uncounted() {
        const EACH: u64 = 20_000;
        let (feed, reader) = feed(8);
        let tellers: Vec<_> = (0..4)
            .map(|_| {
                let feed = feed.clone();
                thread::spawn(move || (0..EACH).for_each(|number| feed.tell(number)))
            })
            .collect();
        drop(feed);
        let counted: u64 = reader
            .map(|told| match told {
                Told::Event(_) => 1,
                Told::Missed(missed) => missed,
            })
            .sum();
        for teller in tellers {
            teller.join().unwrap();
        }
        assert_eq!(counted, 4 * EACH);
    }
}

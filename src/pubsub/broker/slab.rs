//! Things by a key that is never given twice: a place in a list, and how often the place was taken.

/// Stands for one thing of a [`Slab`].
pub(super) type Key = u64;

/// Things, each at its place.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Slab<T> {
        Slab { places: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, thing: T) -> Key {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let (taken, place) = &mut self.places[at as usize];
        *taken = taken.wrapping_add(1);
        *place = Some(thing);
        Key::from(*taken) << 32 | Key::from(at)
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        self.places.get(key as u32 as usize).filter(|(taken, _)| *taken == (key >> 32) as u32)?.1.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.places.get_mut(key as u32 as usize).filter(|(taken, _)| *taken == (key >> 32) as u32)?.1.as_mut()
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let (_, place) = self.places.get_mut(key as u32 as usize).filter(|(taken, _)| *taken == (key >> 32) as u32)?;
        let thing = place.take()?;
        self.free.push(key as u32);
        Some(thing)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let key = |(at, (taken, _)): (usize, &(u32, _))| Key::from(*taken) << 32 | at as Key;
        self.places.iter().enumerate().filter_map(move |place| Some((key(place), place.1.1.as_ref()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_given_twice() {
        let mut slab = Slab::new();
        let (one, two) = (slab.insert('a'), slab.insert('b'));
        assert_eq!((slab.remove(one), slab.remove(one), slab.get(one)), (Some('a'), None, None));
        let three = slab.insert('c');
        assert_ne!(one, three);
        assert_eq!((slab.get(one), slab.get(two), slab.get(three)), (None, Some(&'b'), Some(&'c')));
        assert_eq!(slab.len(), 2);
        let all: Vec<_> = slab.iter().collect();
        assert_eq!(all, [(three, &'c'), (two, &'b')]);
    }
}

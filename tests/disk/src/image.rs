//! What of a folder's files a power cut cannot take, and what it may.

use std::{collections::BTreeMap, fs, path::Path};

use crate::Roll;

/// A file, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(usize);

/// All files of a folder.
#[derive(Debug, Default)]
pub(crate) struct Files {
    nodes: Vec<Content>,
    /// What each name stood for when the folder was last synced, and since; `None` for no file.
    names: BTreeMap<String, Vec<Option<Node>>>,
}

/// What a file held when it was last synced, and what was done since.
#[derive(Debug, Default)]
struct Content {
    synced: Vec<u8>,
    since: Vec<Act>,
}

#[derive(Debug)]
enum Act {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

impl Files {
    /// A file that was there before.
    pub(crate) fn found(&mut self, name: String, path: &Path) {
        let node = self.node(path);
        self.names.insert(name, vec![Some(node)]);
    }

    /// The file that is opened under a name; one that nobody has seen yet is as it stands at `path`, but its name is not synced.
    pub(crate) fn open(&mut self, name: String, path: &Path) -> Node {
        if let Some(Some(node)) = self.names.get(&name).and_then(|states| states.last()) {
            return *node;
        }
        let node = self.node(path);
        let states = self.names.entry(name).or_insert_with(|| vec![None]);
        states.push(Some(node));
        node
    }

    /// Whether there is a file of this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        let last = self.names.get(name).and_then(|states| states.last());
        last.is_some_and(Option::is_some)
    }

    fn node(&mut self, path: &Path) -> Node {
        self.nodes.push(Content {
            synced: fs::read(path).expect("a file that was opened can be read"),
            since: Vec::new(),
        });
        Node(self.nodes.len() - 1)
    }

    pub(crate) fn delete(&mut self, name: &str) {
        if let Some(states) = self.names.get_mut(name) {
            states.push(None);
        }
    }

    pub(crate) fn write(&mut self, node: Node, at: usize, bytes: &[u8]) {
        self.nodes[node.0].since.push(Act::Write {
            at,
            bytes: bytes.to_vec(),
        });
    }

    pub(crate) fn resize(&mut self, node: Node, to: usize) {
        self.nodes[node.0].since.push(Act::Resize(to));
    }

    pub(crate) fn sync(&mut self, node: Node) {
        let content = &mut self.nodes[node.0];
        for act in std::mem::take(&mut content.since) {
            match act {
                Act::Write { at, bytes } => put(&mut content.synced, at, &bytes),
                Act::Resize(to) => content.synced.resize(to, 0),
            }
        }
    }

    pub(crate) fn sync_folder(&mut self) {
        self.names.retain(|_, states| {
            states.drain(..states.len() - 1);
            states[0].is_some()
        });
    }

    /// Writes what a power cut leaves to another folder.
    pub(crate) fn survive(&self, roll: Roll<'_>, folder: &Path) {
        let sector = [512, 4096][index(roll, 2)];
        // Of ten unsynced sectors so many are kept: what a cut leaves is often all or nothing.
        let kept = [0, 2, 5, 8, 10][index(roll, 5)];
        for (name, states) in &self.names {
            if let Some(node) = states[index(roll, states.len())] {
                let left = self.nodes[node.0].survivor(roll, sector, kept);
                fs::write(folder.join(name), left).expect("the folder can be written");
            }
        }
    }
}

impl Content {
    fn survivor(&self, roll: Roll<'_>, sector: usize, kept: u64) -> Vec<u8> {
        let mut left = self.synced.clone();
        for act in &self.since {
            match act {
                Act::Resize(to) => {
                    if roll(10) < kept {
                        left.resize(*to, 0);
                    }
                }
                Act::Write { at, bytes } => {
                    let mut done = 0;
                    while done < bytes.len() {
                        let begin = at + done;
                        let end = ((begin / sector + 1) * sector).min(at + bytes.len());
                        if roll(10) < kept {
                            put(&mut left, begin, &bytes[done..end - at]);
                        }
                        done = end - at;
                    }
                }
            }
        }
        left
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

fn index(roll: Roll<'_>, of: usize) -> usize {
    usize::try_from(roll(of as u64)).expect("a roll is below what it is of")
}

//! The layer under SQLite: the system's own, with a look at what is written to files of watched folders.
//!
//! It is registered as the default of the process, once, because whoever is tested opens its files as ever. A file of another folder is
//! handed to the system's layer outright.
//!
//! Invariant: a watched file is a [`File`], followed in the same piece of memory by what the system's layer keeps of it.

use std::{
    ffi::{CStr, OsStr, c_char, c_int, c_void},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use rusqlite::ffi::{
    self, SQLITE_CANTOPEN, SQLITE_IOERR_DELETE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE,
    SQLITE_IOERR_WRITE, SQLITE_OK, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs,
};

use crate::{Power, State, image::Node, name};

static WATCHED: Mutex<Vec<Arc<State>>> = Mutex::new(Vec::new());

/// The system's layer.
static SYSTEM: OnceLock<System> = OnceLock::new();

struct System(*mut sqlite3_vfs);

#[expect(
    unsafe_code,
    reason = "the compiler knows nothing of the pointers of a C library"
)]
// SAFETY: it points to a static of SQLite's, which nobody changes once it is registered.
unsafe impl Send for System {}
#[expect(
    unsafe_code,
    reason = "the compiler knows nothing of the pointers of a C library"
)]
// SAFETY: as above.
unsafe impl Sync for System {}

/// A watched file, as SQLite holds it.
#[repr(C)]
struct File {
    base: sqlite3_file,
    /// From `Box::into_raw`, until it is closed.
    watch: *mut Watch,
}

struct Watch {
    state: Arc<State>,
    node: Node,
    /// Whether the first sync of this file syncs the folder as well: so SQLite does with journals.
    owes_folder: bool,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // No memory maps: a write through one would be seen by nobody.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

pub(crate) fn watch(state: &Arc<State>) {
    register();
    watched().push(Arc::clone(state));
}

pub(crate) fn forget(state: &Arc<State>) {
    watched().retain(|known| !Arc::ptr_eq(known, state));
}

fn watched() -> MutexGuard<'static, Vec<Arc<State>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose file this is, if its folder is watched. What SQLite shares between connections is memory, which no power cut leaves.
fn owner(path: &Path) -> Option<Arc<State>> {
    let folder = path.parent()?;
    if path.as_os_str().as_bytes().ends_with(b"-shm") {
        return None;
    }
    let watched = watched();
    let mut all = watched.iter();
    all.find(|state| state.folder == folder).cloned()
}

#[expect(unsafe_code, reason = "SQLite is given functions to call")]
fn register() {
    SYSTEM.get_or_init(|| {
        // SAFETY: SQLite is initialised by whoever calls it first, and its default layer is a static.
        let system = unsafe {
            ffi::sqlite3_initialize();
            ffi::sqlite3_vfs_find(ptr::null())
        };
        // SAFETY: there is a default layer on each system that these tests run on; it is read before ours takes its place.
        let mut ours = unsafe { *system };
        let own = c_int::try_from(size_of::<File>()).expect("a file is small");
        ours.szOsFile += own;
        ours.pNext = ptr::null_mut();
        ours.zName = c"disk".as_ptr();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        // SAFETY: it is leaked, so that it lives as long as the process.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1) };
        assert_eq!(registered, SQLITE_OK, "SQLite takes another layer");
        System(system)
    });
}

fn system() -> *mut sqlite3_vfs {
    SYSTEM.get().expect("registered before it is called").0
}

/// A path as SQLite gives it.
///
/// # Safety
/// `text` is null, or a C string that outlives the call.
#[expect(unsafe_code, reason = "SQLite gives C strings")]
unsafe fn path(text: *const c_char) -> Option<PathBuf> {
    if text.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    Some(PathBuf::from(OsStr::from_bytes(bytes)))
}

#[expect(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    text: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let system = system();
    // SAFETY: SQLite promises a path that lives as long as the file, and memory of the size that `register` has told; the system's layer
    // gets all of it, or what is behind our own part.
    unsafe {
        let open = (*system).xOpen.expect("each layer opens files");
        let Some((path, state)) =
            path(text).and_then(|path| owner(&path).map(|state| (path, state)))
        else {
            return open(system, text, file, flags, out);
        };
        // Nothing to close, if it fails.
        (*file).pMethods = ptr::null();
        let mut inner = state.lock();
        // What is there can still be read.
        if inner.is_off && !inner.files.knows(&name(&path)) {
            return SQLITE_CANTOPEN;
        }
        let opened = open(system, text, behind(file), flags, out);
        if opened != SQLITE_OK {
            return opened;
        }
        let node = inner.files.open(name(&path), &path);
        drop(inner);
        let journals =
            ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
        let owes_folder = flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & journals != 0;
        let watch = Watch {
            state,
            node,
            owes_folder,
        };
        ptr::write(
            file.cast(),
            File {
                base: sqlite3_file { pMethods: &METHODS },
                watch: Box::into_raw(Box::new(watch)),
            },
        );
    }
    SQLITE_OK
}

#[expect(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn delete(_: *mut sqlite3_vfs, text: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: SQLite promises a path.
    let path = unsafe { path(text) };
    if let Some((path, state)) = path.and_then(|path| owner(&path).map(|state| (path, state))) {
        let mut inner = state.lock();
        if inner.is_off {
            return SQLITE_IOERR_DELETE;
        }
        let power = inner.step();
        inner.files.delete(&name(&path));
        if power == Power::Off {
            return SQLITE_IOERR_DELETE;
        }
        if sync_folder != 0 && !inner.lies {
            inner.files.sync_folder();
        }
    }
    let system = system();
    // SAFETY: as above; the layer is a static.
    unsafe { (*system).xDelete.expect("each layer deletes files")(system, text, sync_folder) }
}

/// Where the system's layer keeps its part of a file of ours.
fn behind(file: *mut sqlite3_file) -> *mut sqlite3_file {
    file.cast::<File>().wrapping_add(1).cast()
}

/// # Safety
/// `file` was opened by [`open`], which made it ours, and is not closed; SQLite uses it from one thread at a time.
#[expect(unsafe_code, reason = "SQLite hands back what it was given")]
unsafe fn watch_of<'a>(file: *mut sqlite3_file) -> &'a mut Watch {
    // SAFETY: promised by the caller.
    unsafe { &mut *(*file.cast::<File>()).watch }
}

#[expect(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file that it opened, once.
    unsafe {
        drop(Box::from_raw((*file.cast::<File>()).watch));
        let system = behind(file);
        (*(*system).pMethods).xClose.expect("each file is closed")(system)
    }
}

#[expect(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives an open file of ours, and so many bytes.
    let (watch, written) = unsafe {
        let count = usize::try_from(count).expect("no fewer than none");
        (
            watch_of(file),
            std::slice::from_raw_parts(bytes.cast::<u8>(), count),
        )
    };
    let mut inner = watch.state.lock();
    if inner.is_off {
        return SQLITE_IOERR_WRITE;
    }
    let power = inner.step();
    let place = usize::try_from(at).expect("a place in a file");
    inner.files.write(watch.node, place, written);
    if power == Power::Off {
        return SQLITE_IOERR_WRITE;
    }
    let system = behind(file);
    // SAFETY: the system's layer opened it.
    unsafe { (*(*system).pMethods).xWrite.expect("files are written")(system, bytes, count, at) }
}

#[expect(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file of ours.
    let watch = unsafe { watch_of(file) };
    let mut inner = watch.state.lock();
    if inner.is_off {
        return SQLITE_IOERR_TRUNCATE;
    }
    let power = inner.step();
    let to = usize::try_from(size).expect("a file's length");
    inner.files.resize(watch.node, to);
    if power == Power::Off {
        return SQLITE_IOERR_TRUNCATE;
    }
    let system = behind(file);
    // SAFETY: the system's layer opened it.
    unsafe { (*(*system).pMethods).xTruncate.expect("files are cut")(system, size) }
}

#[expect(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite gives an open file of ours.
    let watch = unsafe { watch_of(file) };
    let mut inner = watch.state.lock();
    if inner.step() == Power::Off {
        return SQLITE_IOERR_FSYNC;
    }
    if !inner.lies {
        inner.files.sync(watch.node);
        if std::mem::take(&mut watch.owes_folder) {
            inner.files.sync_folder();
        }
    }
    SQLITE_OK
}

/// What the system's layer does for us as it is.
macro_rules! pass {
    ($($ours:ident = $theirs:ident($($arg:ident: $type:ty),*) $(-> $out:ty)?;)*) => {$(
        #[expect(unsafe_code, reason = "called by SQLite")]
        unsafe extern "C" fn $ours(file: *mut sqlite3_file $(, $arg: $type)*) $(-> $out)? {
            let system = behind(file);
            // SAFETY: SQLite gives an open file of ours, the system's layer opened its part, and gets what SQLite gave.
            unsafe { (*(*system).pMethods).$theirs.expect("the system's layer has it")(system $(, $arg)*) }
        }
    )*};
}

pass! {
    read = xRead(bytes: *mut c_void, count: c_int, at: sqlite3_int64) -> c_int;
    file_size = xFileSize(size: *mut sqlite3_int64) -> c_int;
    lock = xLock(how: c_int) -> c_int;
    unlock = xUnlock(how: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(out: *mut c_int) -> c_int;
    file_control = xFileControl(what: c_int, arg: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int;
}

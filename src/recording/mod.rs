//! Recordings of a running world as files: written beside the server, read by tools.
//!
//! ```text
//! world's thread --Feed::record--> bounded queue --> recorder's thread --RecordingWriter--> file
//!                  never waits                       compresses, writes
//! file --Recording--> Frames: one frame after the other, each verified
//! ```
//!
//! What a recording says is in [`game::recording`](crate::game::recording); here it is compressed, written, found again and
//! read. Knows files and one thread. Has no server and no network: frames come by the server's
//! [`FrameHook`](crate::server::FrameHook), or from anywhere else.
//!
//! ```
//! use std::io::Cursor;
//! use std::sync::Arc;
//! use tickwire::game::recording::Header;
//! use tickwire::id::EntityId;
//! use tickwire::proto::snapshot::{Blend, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Schema};
//! use tickwire::recording::{Recording, RecordingWriter};
//! use tickwire::time::{Tick, TickRate};
//!
//! let x = Field::new("x", Quantity::Unsigned { bits: 16 }, Blend::Linear);
//! let schema = Arc::new(Schema::new(vec![Kind::new("ball", vec![x])])?);
//! let mut history = FrameHistory::new(Arc::clone(&schema), FrameConfig::default())?;
//!
//! let header = Header::new(schema, TickRate::HZ_60, 2);
//! let mut writer = RecordingWriter::new(Vec::new(), header)?;
//! for tick in [2, 4, 6] {
//!     let mut builder = history.begin(Tick(tick))?;
//!     let ball = EntityId { slot: 7, generation: 0 };
//!     builder.put(ball, KindId(0), [0.0; 3], &[tick as i32 * 100])?;
//!     writer.push(&history.publish(builder))?;
//! }
//! let (bytes, summary) = writer.finish()?;
//! assert_eq!((summary.frames, summary.blocks), (3, 1));
//!
//! let mut recording = Recording::read(Cursor::new(bytes))?;
//! let frame = recording.seek(Tick(4)).next().expect("there is one")?;
//! assert_eq!(frame.entity(7).expect("it was put").values, [400]);
//! assert_eq!(recording.frames().count(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod pack;
mod reader;
mod recorder;
mod walk;
mod writer;

pub use error::RecordingError;
pub use reader::{Frames, Recording};
pub use recorder::{Feed, QUEUE, Recorder};
pub use walk::{Damage, Ending};
pub use writer::{RecordingSummary, RecordingWriter};

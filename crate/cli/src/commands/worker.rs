//! `lopper worker`

use crate::args::Worker;
use lopper_pipeline::{Code, Device, Error, Result, block_on};
use std::net::TcpListener;

/// Computes for others until the process is interrupted.
pub fn run(args: &Worker) -> Result<()> {
    let device = block_on(Device::open(args.device))?;
    let unfit = |e| Error::new(Code::Usage, format!("nobody can be listened to at {}: {e}", args.listen));
    let listener = TcpListener::bind(&args.listen).map_err(unfit)?;
    let address = listener.local_addr().map_err(unfit)?;
    println!("device  {} ({})", device.name(), device.why());
    println!("give    --workers ws://{address}");
    device.serve(listener, args.token.as_deref())
}

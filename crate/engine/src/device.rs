//! Which device runs, and why.

use crate::selftest;
use lopper_core::{Code, Error, Result};

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The GPU, unless there is none, it is a software adapter, or its self-test disagrees with the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU, or an error.
    Gpu,
}

impl std::str::FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            other => Err(Error::new(Code::Usage, format!("{other:?} is no device: use auto, cpu or gpu"))),
        }
    }
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The processor, with SIMD.
    Cpu,
    /// A graphics adapter, or a worker: what is asked of it is done later.
    Gpu,
}

/// A device that passed its self-test.
#[derive(Clone, Debug)]
pub struct Device {
    name: String,
    kind: DeviceKind,
    why: String,
    inner: burn::tensor::Device,
}

impl Device {
    /// The processor.
    pub fn cpu() -> Self {
        Self {
            name: "CPU".into(),
            kind: DeviceKind::Cpu,
            why: "it was asked for".into(),
            inner: burn::tensor::Device::flex(),
        }
    }

    /// Opens what was asked for. A GPU must pass the self-test first.
    ///
    /// # Errors
    /// [`Code::NoDevice`] and [`Code::DeviceRefused`], only when a GPU was asked for by name.
    pub async fn open(choice: DeviceChoice) -> Result<Self> {
        if choice == DeviceChoice::Cpu {
            return Ok(Self::cpu());
        }
        let instead = |why: String| Ok(Self { why, ..Self::cpu() });
        let adapter = match gpu::adapter().await {
            Ok(adapter) => adapter,
            Err(e) if choice == DeviceChoice::Gpu => return Err(e),
            Err(e) => return instead(format!("no GPU: {}", e.message())),
        };
        if choice == DeviceChoice::Auto && adapter.software {
            return instead(format!("the only adapter, {}, is software and slower than the CPU", adapter.name));
        }
        match selftest::compare(&adapter.inner).await {
            Ok(()) => {
                let why = if adapter.software {
                    "a software adapter, asked for by name"
                } else {
                    "a GPU that agrees with the CPU"
                };
                Ok(Self { name: adapter.name, kind: DeviceKind::Gpu, why: why.into(), inner: adapter.inner })
            }
            Err(e) if choice == DeviceChoice::Gpu => Err(e),
            Err(e) => instead(e.message().to_owned()),
        }
    }

    /// The device of another machine, where `lopper worker` runs, by its address (`ws://host:3000`). It must pass the self-test, too.
    ///
    /// # Errors
    /// [`Code::NoDevice`] where nothing answers there, the token is not the worker's, or this build cannot reach other machines;
    /// [`Code::DeviceRefused`] after the self-test.
    pub async fn worker(address: &str, token: Option<&str>) -> Result<Self> {
        let inner = remote::connect(address, token).await?;
        selftest::compare(&inner).await?;
        let why = "a worker that agrees with the CPU".to_owned();
        Ok(Self { name: address.to_owned(), kind: DeviceKind::Gpu, why, inner })
    }

    /// Computes for others, who connect to `listener`, until the process is interrupted. They must give the token, if there is one.
    ///
    /// # Errors
    /// [`Code::NoDevice`] where this build cannot serve, [`Code::DeviceLost`] where serving fails.
    pub fn serve(&self, listener: std::net::TcpListener, token: Option<&str>) -> Result<()> {
        remote::serve(self.inner.clone(), listener, token)
    }

    /// A device that is in use already, for a network within a network.
    pub(crate) fn holding(inner: &burn::tensor::Device) -> Self {
        Self { why: "the network around runs on it".into(), inner: inner.clone(), ..Self::cpu() }
    }

    /// What the device calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// CPU or GPU.
    pub fn kind(&self) -> DeviceKind {
        self.kind
    }

    /// Why this device and not another, as a clause.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// burn's device.
    pub(crate) fn inner(&self) -> &burn::tensor::Device {
        &self.inner
    }

    /// Sends what is queued; a device works while the next step is prepared.
    pub(crate) fn flush(&self) -> Result<()> {
        self.inner.flush().map_err(|e| Error::new(Code::DeviceLost, format!("the device failed ({e:?})")))
    }
}

/// The one place that knows of other machines.
#[cfg(feature = "remote")]
mod remote {
    use super::{Code, Error, Result};
    use burn::remote::RemoteHost;
    use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};
    use burn::tensor::Device;
    use std::net::TcpListener;

    pub(super) async fn connect(address: &str, token: Option<&str>) -> Result<Device> {
        if !address.starts_with("ws://") && !address.starts_with("wss://") {
            let what =
                format!("{address:?} is no worker's address: write ws://HOST:PORT, as `lopper worker` prints it");
            return Err(Error::new(Code::Usage, what));
        }
        let host = RemoteHost::websocket(address);
        let host = match token {
            Some(token) => host.with_credential(token),
            None => host,
        };
        let none = |e| Error::new(Code::NoDevice, format!("the worker at {address} cannot be used: {e}"));
        Device::remote_options(&host).init_async().await.map_err(none)
    }

    pub(super) fn serve(device: Device, listener: TcpListener, token: Option<&str>) -> Result<()> {
        let mut server = RemoteServer::new([device]);
        if let Some(token) = token {
            let authorizer = TokenAuthorizer::new(token).map_err(|e| Error::new(Code::Usage, e.to_string()))?;
            server = server.with_authorizer(authorizer);
        }
        let lost = |e| Error::new(Code::DeviceLost, format!("the worker stopped: {e}"));
        server.serve(WebSocketTransport::from_listener(listener)).map_err(lost)
    }
}

/// Without the feature that brings them there are no other machines.
#[cfg(not(feature = "remote"))]
mod remote {
    use super::{Code, Error, Result};
    use burn::tensor::Device;
    use std::net::TcpListener;

    const WHY: &str = "this build cannot work with other machines: build it with the feature remote";

    pub(super) async fn connect(_: &str, _: Option<&str>) -> Result<Device> {
        Err(Error::new(Code::NoDevice, WHY))
    }

    pub(super) fn serve(_: Device, _: TcpListener, _: Option<&str>) -> Result<()> {
        Err(Error::new(Code::NoDevice, WHY))
    }
}

/// The one place that knows of graphics adapters.
mod gpu {
    use super::{Code, Error, Result};

    /// An adapter that may become the device.
    pub(super) struct Adapter {
        pub(super) name: String,
        pub(super) software: bool,
        pub(super) inner: burn::tensor::Device,
    }

    #[cfg(not(any(feature = "webgpu", feature = "vulkan", feature = "metal", feature = "cuda")))]
    pub(super) async fn adapter() -> Result<Adapter> {
        let why = if cfg!(target_family = "wasm") {
            "the browser gives no WebGPU adapter"
        } else {
            "this build has no GPU support: build it with the feature webgpu, vulkan, metal or cuda"
        };
        Err(Error::new(Code::NoDevice, why))
    }

    #[cfg(all(feature = "cuda", not(any(feature = "webgpu", feature = "vulkan", feature = "metal"))))]
    pub(super) async fn adapter() -> Result<Adapter> {
        let found = burn::tensor::Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().into_iter().next();
        let inner = found.ok_or_else(|| Error::new(Code::NoDevice, "no CUDA device was found"))?;
        Ok(Adapter { name: "CUDA".into(), software: false, inner })
    }

    #[cfg(any(feature = "webgpu", feature = "vulkan", feature = "metal"))]
    pub(super) async fn adapter() -> Result<Adapter> {
        use burn::tensor::wgpu::{WgpuBackend, WgpuInitError, wgpu};
        use std::sync::Mutex;

        /// burn initialises an adapter once; every later opening shares it.
        static OPENED: Mutex<Option<(String, bool, burn::tensor::Device)>> = Mutex::new(None);
        if let Some((name, software, inner)) = OPENED.lock().ok().and_then(|o| o.clone()) {
            return Ok(Adapter { name, software, inner });
        }
        let backend = if cfg!(target_family = "wasm") {
            WgpuBackend::WebGpu
        } else if cfg!(feature = "vulkan") {
            WgpuBackend::Vulkan
        } else if cfg!(feature = "metal") {
            WgpuBackend::Metal
        } else {
            // Outside a browser, the feature webgpu means WGSL on whatever the system has.
            WgpuBackend::Auto
        };
        let options = burn::tensor::Device::wgpu_options().graphics_api(backend).tasks_max(32);
        let none = |e: WgpuInitError| match e {
            WgpuInitError::AdapterUnavailable { .. } => Error::new(Code::NoDevice, "no graphics adapter was found"),
            other => Error::new(Code::NoDevice, format!("the graphics adapter could not be opened: {other}")),
        };
        let (inner, setup) = options.init_with_setup_async().await.map_err(none)?;
        let info = setup.adapter.get_info();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let name = if info.name.is_empty() { "GPU".to_owned() } else { info.name };
        if let Ok(mut opened) = OPENED.lock() {
            *opened = Some((name.clone(), software, inner.clone()));
        }
        Ok(Adapter { name, software, inner })
    }
}

//! I/O ports.
//!
//! # Context
//! NMI context, contain path. A port may trap to SMM or to a hypervisor: callers bound what they do with them.

macro_rules! ports {
    ($($read:ident, $write:ident: $value:ty, $bits:literal;)*) => {$(
        #[doc = concat!("Reads ", $bits, " bits from a port.")]
        ///
        /// # Safety
        /// CPL 0 or I/O privilege; reading the port has no effect that breaks somebody else's use of the device.
        #[inline]
        pub(crate) unsafe fn $read(port: u16) -> $value {
            // SAFETY: the caller's promise is that of the function called.
            unsafe { x86::io::$read(port) }
        }

        #[doc = concat!("Writes ", $bits, " bits to a port.")]
        ///
        /// # Safety
        /// CPL 0 or I/O privilege; what the write makes the device do is wanted and touches no memory in Rust's use.
        #[inline]
        pub(crate) unsafe fn $write(port: u16, value: $value) {
            // SAFETY: the caller's promise is that of the function called.
            unsafe { x86::io::$write(port, value) }
        }
    )*};
}

ports! {
    inb, outb: u8, "8";
    inw, outw: u16, "16";
    inl, outl: u32, "32";
}

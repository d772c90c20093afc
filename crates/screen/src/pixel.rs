//! How a colour is stored in a pixel of 32 bits.

use crate::palette::Colour;

/// Where the colours of a 32-bit pixel are, as UEFI's graphics output protocol tells it (UEFI specification 2.10, 12.9,
/// EFI_GRAPHICS_PIXEL_FORMAT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// Bytes in memory: red, green, blue, unused. `PixelRedGreenBlueReserved8BitPerColor`.
    Rgb,
    /// Bytes in memory: blue, green, red, unused. `PixelBlueGreenRedReserved8BitPerColor`.
    Bgr,
    /// The bits of each colour. `PixelBitMask`.
    Masks {
        /// The bits of red.
        red: u32,
        /// The bits of green.
        green: u32,
        /// The bits of blue.
        blue: u32,
    },
}

/// The bits of the three colours, each in a row and none shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Masks([u32; 3]);

impl Masks {
    /// The masks of `format`; `None` for masks that are empty, have gaps or overlap.
    pub(crate) fn of(format: PixelFormat) -> Option<Self> {
        let masks = match format {
            PixelFormat::Rgb => [0xFF, 0xFF00, 0xFF_0000],
            PixelFormat::Bgr => [0xFF_0000, 0xFF00, 0xFF],
            PixelFormat::Masks { red, green, blue } => [red, green, blue],
        };
        let [red, green, blue] = masks;
        let whole = |mask: u32| mask.count_ones() + mask.leading_zeros() + mask.trailing_zeros() == u32::BITS;
        let apart = red & green == 0 && green & blue == 0 && red & blue == 0;
        (apart && masks.into_iter().all(|mask| mask != 0 && whole(mask))).then_some(Self(masks))
    }

    /// The pixel of this colour.
    pub(crate) fn pixel(self, Colour(red, green, blue): Colour) -> u32 {
        let place = |mask: u32, part: u8| {
            // The part's upper bits at the top of the mask, whether it has more or fewer than eight.
            let scaled = u64::from(part) << mask.count_ones() >> u8::BITS;
            (scaled << mask.trailing_zeros()) as u32
        };
        let [of_red, of_green, of_blue] = self.0;
        place(of_red, red) | place(of_green, green) | place(of_blue, blue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_in_the_order_of_their_name() {
        let colour = Colour(1, 2, 3);
        let bytes = |format| Masks::of(format).expect("good masks").pixel(colour).to_le_bytes();
        assert_eq!(bytes(PixelFormat::Rgb), [1, 2, 3, 0]);
        assert_eq!(bytes(PixelFormat::Bgr), [3, 2, 1, 0]);
        let masks = PixelFormat::Masks { red: 0xFF00_0000, green: 0xFF_0000, blue: 0xFF00 };
        assert_eq!(bytes(masks), [0, 3, 2, 1]);
    }

    #[test]
    fn masks_of_any_width_take_the_upper_bits() {
        let deep = PixelFormat::Masks { red: 0x3FF << 20, green: 0x3FF << 10, blue: 0x3FF };
        let pixel = Masks::of(deep).expect("good masks").pixel(Colour(0xFF, 0x80, 0));
        assert_eq!(pixel, 0x3FC << 20 | 0x200 << 10);
        let flat = PixelFormat::Masks { red: 0xF800, green: 0x07E0, blue: 0x001F };
        assert_eq!(Masks::of(flat).expect("good masks").pixel(Colour(0xFF, 0xFF, 0xFF)), 0xFFFF);
    }

    #[test]
    fn masks_that_cannot_be_are_refused() {
        for (red, green, blue) in [(0, 0xFF00, 0xFF), (0xFF, 0x1FE, 0xFF_0000), (0b101, 0xFF00, 0xFF_0000)] {
            assert_eq!(Masks::of(PixelFormat::Masks { red, green, blue }), None);
        }
        assert!(Masks::of(PixelFormat::Masks { red: u32::MAX, green: 0, blue: 0 }).is_none());
    }
}

//! The colours of each emphasis.

use panic_smp::screen::Emphasis;

/// A colour: red, green and blue, 255 being the brightest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour(pub u8, pub u8, pub u8);

/// What a row is drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colours {
    pub text: Colour,
    pub behind: Colour,
    /// The nearest attribute of a text mode (IBM VGA: text colour 3:0, background 6:4; bit 7 may mean blinking).
    pub attribute: u8,
}

const DARK_BLUE: Colour = Colour(0, 0, 0x50);

pub(crate) const fn colours(emphasis: Emphasis) -> Colours {
    match emphasis {
        Emphasis::Normal => Colours { text: Colour(0xFF, 0xFF, 0xFF), behind: DARK_BLUE, attribute: 0x1F },
        Emphasis::Title => Colours { text: Colour(0x80, 0xFF, 0xFF), behind: DARK_BLUE, attribute: 0x1B },
        Emphasis::Winner => Colours { text: Colour(0xFF, 0xFF, 0x60), behind: DARK_BLUE, attribute: 0x1E },
        Emphasis::Alert => {
            Colours { text: Colour(0xFF, 0xFF, 0xFF), behind: Colour(0xA0, 0, 0), attribute: 0x4F }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast as in WCAG 2, 1.4.3, with a square for the curve.
    fn contrast(colours: Colours) -> f64 {
        let luminance = |Colour(red, green, blue): Colour| {
            let linear = |part: u8| (f64::from(part) / 255.0).powi(2);
            0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
        };
        (luminance(colours.text) + 0.05) / (luminance(colours.behind) + 0.05)
    }

    #[test]
    fn every_text_can_be_read_and_nothing_blinks() {
        for emphasis in Emphasis::ALL {
            let colours = colours(emphasis);
            assert!(contrast(colours) > 7.0, "{emphasis:?}: {}", contrast(colours));
            assert!(colours.attribute < 0x80, "{emphasis:?}");
        }
    }
}

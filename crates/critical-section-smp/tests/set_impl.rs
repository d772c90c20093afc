//! The implementation links. It cannot run here: it turns interrupts off.
#![cfg(target_arch = "x86_64")]

critical_section_smp::set_impl!();

#[test]
fn the_implementation_is_the_one_that_is_linked() {
    // Naming the function is enough: without an implementation this test does not link.
    let section: fn() = || critical_section::with(|_| ());
    assert_ne!(section as usize, 0);
}

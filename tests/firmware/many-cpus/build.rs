//! Links by the appliance layout.
fn main() {
    linker::configure();
}

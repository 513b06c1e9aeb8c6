//! Writes the pictures of the documentation: `make pictures`.

use hilrig_tests::docs::pictures::PICTURES;
use hilrig_tests::docs::root;

fn main() -> std::io::Result<()> {
    let root = root();
    for (path, draw) in PICTURES {
        std::fs::write(root.join(path), draw(&root))?;
    }
    Ok(())
}

"""Writing LLVM's text form so that a kernel reads like its loops."""

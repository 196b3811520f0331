"""Any tree of class folders with chest X-rays, as notebooks read them."""

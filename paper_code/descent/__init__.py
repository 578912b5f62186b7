"""Problems, and methods that minimise them by compressed gradients."""

"""What only this repository needs: claims, data sets, figures, the notebook runner."""

"""Functions of the array API standard that TensorFlow lacks or defines differently, one file per family."""

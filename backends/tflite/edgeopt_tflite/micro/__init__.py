"""What differs for microcontrollers: TFLite for Micro runs the file, as a C array, without LiteRT."""

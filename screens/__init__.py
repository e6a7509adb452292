"""The screens: each looks at the frozen value, shows it, and asks the app for a verb. One file a screen."""

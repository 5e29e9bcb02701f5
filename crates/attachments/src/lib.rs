//! confab-attachments
